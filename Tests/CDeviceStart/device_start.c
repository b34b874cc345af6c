// libtorch makes the threads of backward passes for the devices that it knows at the first one, so CUDA is opened before any
// test runs, whichever comes first.
#include "device_start.h"

#include <ctorch.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((constructor)) static void open_device(void) {
    const char *wish = getenv("APUS_TEST_CUDA");
    if (!wish || !*wish || ct_load_cuda() == 0) return;
    fprintf(stderr, "APUS_TEST_CUDA: %s\n", ct_error_message());
    _Exit(1);
}
