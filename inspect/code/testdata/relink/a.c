// One program that uses the library.
#include "use.h"

int main(int argc, char **argv) {
  (void)argv;
  return uses[argc % (int)(sizeof uses / sizeof *uses)] != 0;
}
