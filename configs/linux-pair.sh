#!/bin/sh
# configs/linux-pair.sh - what the guests of linux-pair.yaml run; `role` is in their cmdline
pingpong "${role:-ping}"
