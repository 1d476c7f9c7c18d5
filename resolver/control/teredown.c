/* SPDX-License-Identifier: BSD-3-Clause */
/* The `teredown` command. Everything stands in cli.c and the command_*.c files, so that tests can
 * call it in-process. */
#include <stdio.h>

#include "resolver/control/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv, stdout, stderr);
}
