# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Saccade inside other projects. Nothing here is imported by ``import saccade``."""
