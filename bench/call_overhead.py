# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What one call costs beside the work: a plan update and a run of one token over
one key, from Python."""

import time

import numpy as np
import results
import saccade

SPEC = """
attn.variant @all() {}
attn.kernel @tiny(%q: !attn.ragged<1x8xf32>, %kv: !attn.ragged<1x8xf32>) {
  %s = attn.attend @all() %q, %kv
    : !attn.ragged<1x8xf32>, !attn.ragged<1x8xf32> -> !attn.state<1x8>
  %o, %lse = attn.finish @all() %s
    : !attn.state<1x8> -> !attn.ragged<1x8xf32>, !attn.lse<1>
  attn.return %o, %lse : !attn.ragged<1x8xf32>, !attn.lse<1>
}
"""


def microseconds(call, count: int = 2000) -> float:
    call()
    rounds = []
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(count):
            call()
        rounds.append(1e6 * (time.perf_counter() - begin) / count)
    return min(rounds)


def main() -> None:
    saccade.set_num_threads(1)
    kernel = saccade.compile(SPEC, device="cpu")
    plan = kernel.plan([1], kv_lens=[1])
    q = np.ones((1, 1, 8), np.float32)
    out = np.empty_like(q), np.empty((1, 1), np.float32)
    pair, one = (q, q), [1]
    from saccade._abi import lib

    frame = plan._frame
    kernel.run(plan, q, pair, out=out)
    figures = {
        "run_us": microseconds(lambda: kernel.run(plan, q, pair, out=out)),
        "run_in_c_us": microseconds(
            lambda: lib.saccade_run(plan._handle, frame.arguments, frame.count, 0)
        ),
        "plan_update_us": microseconds(lambda: plan.update(one, kv_lens=one)),
    }
    results.write("call_overhead", figures)


if __name__ == "__main__":
    main()
