# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Prefill chunks and decodes in one batch on the GPU: one launch of one kernel, beside
FlashInfer's and beside two launches, each of a kernel for its part of the batch.

Figures go to bench/results/mixed.json.
"""

import sys

import decode_cases
import decode_peers
import decode_report
import paged_bench
import peers
import results
import saccade


def two_launches(batch, decode, prefill):
    """Candidates that compute first the decodes, then the rest. Decodes come first."""
    case = batch.case
    count = case.q_lens.index(max(case.q_lens))
    tokens, pages = case.q_indptr[count], case.page_indptr[count]
    parts = case.part(slice(count)), case.part(slice(count, None))

    def make(index=0):
        out, table = batch.empty(), batch.tables[index]
        first = paged_bench.plan_of(decode, parts[0], table[:pages].clone())
        second = paged_bench.plan_of(prefill, parts[1], table[pages:].clone())

        def call():
            decode.run(first, batch.q[:tokens], batch.cache, out=out[:tokens])
            prefill.run(second, batch.q[tokens:], batch.cache, out=out[tokens:])
            return out

        return peers.Candidate(call)

    return make


def compile(batch):
    specs = [batch.case.spec(n) for n in (None, 1, max(batch.case.q_lens))]
    kernels = [saccade.compile(spec, device="cuda") for spec in specs]
    ours = {
        "saccade": paged_bench.one_launch(batch, kernels[0]),
        "saccade_two": two_launches(batch, *kernels[1:]),
    }
    return ours, kernels


def main() -> int:
    cases = decode_cases.MIXED
    parser = paged_bench.parser(__doc__, decode_peers.MIXED, ", ".join(cases))
    options = parser.parse_args()
    if options.report:
        decode_report.write("mixed", results.read("mixed"))
        return 0
    paged_bench.chosen(parser, options, decode_peers.MIXED, cases)
    return paged_bench.main(
        "mixed", options, decode_peers.MIXED, decode_report.row_text, compile, None
    )


if __name__ == "__main__":
    sys.exit(main())
