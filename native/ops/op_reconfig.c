/* SPDX-License-Identifier: MIT */
/* reconfig: refused on a standalone server, in the order of the client-protocol reference, 4.2
 * (switched off, then not available). Its transactions are applied, for they occur in the
 * logs of an ensemble. Called through the table of op.c. */
#include "ops/op_int.h"

static void reconfig_decode(struct mk_reader *reader, struct op_request *request)
{
    mk_reconfig_request_read(reader, &request->reconfig);
}

static int reconfig_prepare(struct op_prepare *prepare, const struct op_request *request,
                            struct mk_buffer *txn, int32_t *txn_type)
{
    (void)request;
    (void)txn;
    (void)txn_type;
    return prepare->settings->reconfig_enabled ? MK_ERR_UNIMPLEMENTED : MK_ERR_RECONFIG_DISABLED;
}

/* The record is that of setData on /zookeeper/config. */
static int reconfig_apply(struct op_apply *apply, const struct mk_txn_header *header,
                          struct mk_reader *txn, struct op_result *result)
{
    return op_family_set_data.apply(apply, header, txn, result);
}

const struct op_family op_family_reconfig = {
    .decode = reconfig_decode,
    .prepare = reconfig_prepare,
    .apply = reconfig_apply,
};
