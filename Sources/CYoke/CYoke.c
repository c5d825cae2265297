#include "CYoke.h"
