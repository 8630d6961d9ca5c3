/* SPDX-License-Identifier: MIT */
/* Fuzzes every record: the first two bytes choose it, the rest is its encoding. What decodes
 * must encode, decode again and encode to the same bytes (mk_fuzz_record). */
#include "wire/fuzz.gen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned index = (unsigned)data[0] << 8 | data[1];
    (void)mk_fuzz_record(index, data + 2, size - 2);
    return 0;
}
