#ifndef APUS_CEDIT_SHIM_H
#define APUS_CEDIT_SHIM_H

#include <stdio.h>
#include <editline/readline.h>

// The settings of libedit are variables, which Swift does not let several threads touch.

// Where prompt and line are shown, and what reads a character (a Unicode scalar; -1 at the end).
static inline void apus_edit_prepare(int on_error_output, int (*read_character)(FILE *)) {
    rl_readline_name = "apus";
    rl_instream = stdin;
    rl_outstream = on_error_output ? stderr : stdout;
    rl_catch_signals = 0;
    // A tab is a character, not a question for file names.
    rl_inhibit_completion = 1;
    rl_getc_function = read_character;
    using_history();
    stifle_history(1000);
}

#endif
