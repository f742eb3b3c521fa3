# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""FlexAttention's interface."""


def flex_attention(*args, **kwargs):
    raise NotImplementedError
