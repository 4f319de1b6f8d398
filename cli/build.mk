# cli: the program
cli-y += cli/check.o
cli-y += cli/common.o
cli-y += cli/main.o
cli-y += cli/run.o
