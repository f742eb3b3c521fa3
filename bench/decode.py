# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Paged decode on the GPU beside FlashInfer's kernels: one query token a request.

Figures go to bench/results/decode.json, those of a case as soon as it is measured;
cases that a run leaves out keep the figures of earlier runs.
"""

import sys

import decode_cases
import decode_peers
import decode_report
import paged_bench
import results
import saccade


def compile(batch):
    kernel = saccade.compile(batch.case.spec(1), device="cuda")
    return {"saccade": paged_bench.one_launch(batch, kernel)}, [kernel]


def main() -> int:
    names = ", ".join(decode_cases.TABLE) + ", conversation, chat"
    parser = paged_bench.parser(__doc__, decode_peers.DECODE, names)
    options = parser.parse_args()
    if options.report:
        decode_report.write("decode", results.read("decode"))
        return 0
    cases = decode_cases.TABLE | decode_cases.traced(options.traces, options.seed)
    paged_bench.chosen(parser, options, decode_peers.DECODE, cases)
    return paged_bench.main(
        "decode", options, decode_peers.DECODE, decode_report.row_text, compile, 1
    )


if __name__ == "__main__":
    sys.exit(main())
