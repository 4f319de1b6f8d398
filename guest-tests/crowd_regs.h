/* SPDX-License-Identifier: MIT */
/* guest-tests/crowd_regs.h - what guests and bench/crowd.c tell each other,
 * in two words of the shared memory
 */
#ifndef CROWD_REGS_H
#define CROWD_REGS_H

#define CROWD_ASKED 0x800 /* 32 bits, the guest's: one of the values below */
#define CROWD_DOING 0x804 /* 32 bits, the crowd's: what it does by now */

#define CROWD_IDLE   0
#define CROWD_ANSWER 1 /* the last peer rings back, as fast as it can */
#define CROWD_JOIN   2 /* a late crowd comes; its last peer rings back */

#endif
