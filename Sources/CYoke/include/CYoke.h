#define _GNU_SOURCE 1 // Must stay the first line: without it O_DIRECT, fallocate and pwritev2 vanish.
#pragma once

// What Swift cannot import from the system's headers, one header for each subject.

#include "CYokeFeatures.h"
#include "CYokeReadiness.h"
#include "CYokeDisk.h"
#include "CYokeNetwork.h"
#include "CYokeProcess.h"
#include "CYokeChecksum.h"
#include "CYokeRing.h"
#include "CYokeDeviceNode.h"
