#define _GNU_SOURCE 1
#pragma once

// Included first by every header of this target.

#include <features.h>

// The C library names the member of fd_set after the feature macros. Swift's Glibc module is built without
// _GNU_SOURCE and would then see two definitions of fd_set.
#pragma push_macro("__USE_XOPEN")
#undef __USE_XOPEN
#include <sys/select.h>
#pragma pop_macro("__USE_XOPEN")
