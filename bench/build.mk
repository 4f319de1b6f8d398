# bench/build.mk - programs that measure

programs-$(IS_x86_64) += floor
floor-prog-y :=
floor-prog-y += bench/floor.o
floor-prog-y += bench/floor_load.o

programs-y += firstline
firstline-prog-y :=
firstline-prog-y += bench/firstline.o

programs-y += crowd
crowd-prog-y :=
crowd-prog-y += bench/crowd.o
