// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tool `saccade`. All of it lies in libsaccade (Command.cpp), where
// compiler and runtime are, so that the installed tool is a few kilobytes.

extern "C" int saccade_main(int argc, char **argv);

int main(int argc, char **argv) { return saccade_main(argc, argv); }
