/* SPDX-License-Identifier: MIT */
/* Findings and error texts; see report.h and store.h. */
#include "log/report.h"

#include "base/mem.h"
#include "log/store.h"

#include <stdarg.h>
#include <stdio.h>

int log_error_set(struct log_error *error, int code, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->code = code;
        vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return code;
}

void log_report_init(struct log_report *report)
{
    *report = (struct log_report){0};
}

void log_report_fini(struct log_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        mk_free(report->findings[i].text);
        mk_free(report->findings[i].advice);
    }
    mk_free(report->findings);
    *report = (struct log_report){0};
}

void log_report_add(struct log_report *report, enum log_severity severity, const char *file,
                    int64_t offset, const char *advice, const char *format, ...)
{
    if (!report)
        return;
    if (report->count == LOG_FINDINGS_MAX) {
        report->dropped++;
        return;
    }
    if (report->count == report->capacity) {
        report->capacity = report->capacity ? report->capacity * 2 : 8;
        report->findings =
            mk_realloc(report->findings, report->capacity * sizeof *report->findings);
    }
    struct log_finding *finding = &report->findings[report->count++];
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    finding->severity = severity;
    finding->offset = offset;
    snprintf(finding->file, sizeof finding->file, "%s", file);
    finding->text = mk_string_copy(text, strlen(text));
    finding->advice = mk_string_copy(advice ? advice : "", advice ? strlen(advice) : 0);
}

const struct log_finding *log_report_worst(const struct log_report *report)
{
    const struct log_finding *worst = NULL;
    for (size_t i = 0; i < report->count; i++) {
        if (!worst || report->findings[i].severity > worst->severity)
            worst = &report->findings[i];
    }
    return worst;
}
