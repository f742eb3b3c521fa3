/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The smallest use of an installed Saccade: describe this machine's CPU, and
 * read the error of a call that must fail.
 */
#include <saccade/Runtime.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  SaccadeDeviceInfo info;
  DLDevice cpu = {kDLCPU, 0};
  SaccadeModule *module;
  if (saccade_device_info(cpu, &info) != SACCADE_OK)
    return 1;
  printf("%s: %s, %d processors\n", info.target, info.name, info.processors);
  if (saccade_module_load("no blob", 7, NULL, &module) == SACCADE_OK)
    return 2;
  printf("refused: %s\n", saccade_last_error());
  return strlen(saccade_last_error()) == 0;
}
