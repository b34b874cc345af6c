#ifndef APUS_CONIGURUMA_SHIM_H
#define APUS_CONIGURUMA_SHIM_H

#include <oniguruma.h>

// Oniguruma offers these as macros over pointers, which Swift cannot import.
static inline OnigEncoding apus_onig_utf8(void) { return ONIG_ENCODING_UTF8; }
static inline OnigSyntaxType *apus_onig_ruby(void) { return ONIG_SYNTAX_RUBY; }

// onig_error_code_to_str is variadic.
static inline int apus_onig_error_text(UChar *text, int code, OnigErrorInfo *info) {
    return onig_error_code_to_str(text, code, info);
}

#endif
