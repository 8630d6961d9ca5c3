/* SPDX-License-Identifier: MIT */
/* Segments of a linear-hashing table; see table.h. */
#include "tree/table.h"

#include "base/mem.h"

#define TABLE_DIRECTORY_MIN 16

void table_add_segment(struct table *table)
{
    if (table->segment_count == table->segment_capacity) {
        table->segment_capacity = MK_MAX(table->segment_capacity * 2, TABLE_DIRECTORY_MIN);
        table->segments =
            mk_realloc(table->segments, table->segment_capacity * sizeof *table->segments);
    }
    table->segments[table->segment_count++] = mk_calloc(TABLE_SEGMENT_HEADS, sizeof(uint32_t));
}

void table_init(struct table *table)
{
    *table = (struct table){.base = TABLE_SEGMENT_HEADS};
    table_add_segment(table);
}

void table_fini(struct table *table)
{
    for (uint32_t i = 0; i < table->segment_count; i++)
        mk_free(table->segments[i]);
    mk_free(table->segments);
    *table = (struct table){.base = 0};
}
