// A C target needs one translation unit; everything is static inline in the headers.
#include "CYoke.h"
