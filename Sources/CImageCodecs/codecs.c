#include "p4q_codecs.h"
