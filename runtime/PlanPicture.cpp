// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A plan as a picture: a Gantt chart in SVG, a bar for each cta along the
// modelled time, its items in colours of their requests. What a person looks
// for are bars that stick out, and gaps at the end.
#include "runtime/Planner.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

using namespace saccade::rt;

namespace {

constexpr double kLeft = 64, kRight = 24, kWidth = 960;
constexpr double kHead = 64, kFoot = 64;
constexpr size_t kLegend = 12;

/// Up to six significant digits.
std::string number(double value) {
  char text[32];
  snprintf(text, sizeof text, "%g", value);
  return text;
}

/// A coordinate, to a hundredth of a pixel.
std::string at(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text)
    out += c == '<'   ? "&lt;"
           : c == '>' ? "&gt;"
           : c == '&' ? "&amp;"
                      : std::string(1, c);
  return out;
}

/// Neighbours differ: steps of the golden angle around the hues.
std::string colourOf(int32_t request) {
  double hue = std::fmod(210 + request * 137.508, 360);
  return join("hsl(", static_cast<int>(hue), ", 55%, ", request % 2 ? 62 : 52,
              "%)");
}

/// The distance of ticks: 1, 2 or 5 times a power of ten, some eight of them.
double tickOf(double most) {
  double power = std::pow(10, std::floor(std::log10(most / 8)));
  for (double step : {1., 2., 5.})
    if (most / (step * power) <= 10)
      return step * power;
  return 10 * power;
}

std::string text(double x, double y, std::string_view anchor,
                 std::string_view content, std::string_view rest = "") {
  return join("<text x=\"", at(x), "\" y=\"", at(y), "\" text-anchor=\"",
              anchor, "\"", rest, ">", escaped(content), "</text>\n");
}

/// One entry's chart.
class Chart {
public:
  /// `scale`: the modelled time of the axis at least.
  Chart(const Manifest &manifest, const Entry &entry, const Batch &batch,
        const EntryWork &work, double top, double scale)
      : manifest(manifest), entry(entry), batch(batch), work(work), top(top) {
    for (double load : work.load)
      most = std::max(most, load);
    axisEnd = std::max(most, scale);
    if (!work.load.empty())
      mean = std::accumulate(work.load.begin(), work.load.end(), 0.0) /
             work.ctas();
    bar = std::clamp(480.0 / std::max(work.ctas(), 1), 4.0, 24.0);
  }

  double height() const { return kHead + bar * work.ctas() + kFoot; }

  std::string draw() {
    std::string out = heading();
    if (axisEnd > 0)
      out += axis();
    for (int32_t cta = 0; cta < work.ctas(); ++cta)
      out += bars(cta);
    return out + averages() + legend();
  }

private:
  double x(double cost) const {
    return kLeft +
           (axisEnd > 0 ? cost / axisEnd : 0) * (kWidth - kLeft - kRight);
  }
  double y(double cta) const { return top + kHead + bar * cta; }

  std::string heading() const {
    std::string out = text(kLeft, top + 24, "start",
                           join("@", manifest.kernel, ", entry @", entry.name),
                           " font-size=\"15\" font-weight=\"bold\"");
    std::string summary =
        join(batch.requests.size(), " requests, ", work.items.size(),
             " items on ", work.ctas(), " ctas");
    if (!work.partials.empty())
      summary += join(", ", work.counters, " tiles in ", work.partials.size(),
                      " parts");
    if (work.grid.ctas())
      summary += join(" of ", work.grid.ctas(), " of a launch");
    summary += join("; modelled time ", number(most), ", mean ", number(mean),
                    ", imbalance ", number(mean > 0 ? most / mean : 1));
    return out + text(kLeft, top + 44, "start", summary, " fill=\"#555\"");
  }

  std::string axis() const {
    std::string out;
    double bottom = y(work.ctas());
    double step = tickOf(axisEnd);
    for (int tick = 0; tick * step <= axisEnd * (1 + 1e-9); ++tick) {
      std::string place = at(x(tick * step));
      out += join("<line x1=\"", place, "\" y1=\"", at(y(0)), "\" x2=\"", place,
                  "\" y2=\"", at(bottom + 4), "\" stroke=\"#ddd\"/>\n");
      out += text(x(tick * step), bottom + 17, "middle", number(tick * step));
    }
    // Some sixteen names of ctas.
    int32_t each = std::max(work.ctas() / 16, 1);
    for (int32_t cta = 0; cta < work.ctas(); cta += each)
      out += text(kLeft - 6, y(cta + 0.5) + 4, "end", join(work.launched(cta)));
    out += text(kLeft - 6, y(0) - 6, "end", "cta");
    return out + text(kWidth - kRight, bottom + 32, "end",
                      "modelled cost (rows, keys: the entry's unit)",
                      " fill=\"#555\"");
  }

  std::string bars(int32_t cta) {
    std::string out;
    double cost = 0;
    for (int32_t i = work.ctaBegin[cta]; i < work.ctaBegin[cta + 1]; ++i) {
      const SaccadeWorkItem &item = work.items[i];
      bool part = item.partial >= 0;
      int64_t visited;
      if (part) {
        keys.read(manifest, entry, batch, item.request, item.row_begin,
                  item.row_end);
        visited = keys.before(item.kv_end) - keys.before(item.kv_begin);
      } else {
        visited = visitedTiles(manifest, entry, batch, item.request,
                               item.row_begin, item.row_end);
      }
      double begin = cost;
      cost +=
          costOf(entry, item.row_end - item.row_begin, visited * entry.kvTile) /
          work.pace;
      std::string title =
          join("cta ", work.launched(cta), ": request ", item.request,
               ", KV head ", item.kv_head, "\nrows [", item.row_begin, ", ",
               item.row_end, "), keys [", item.kv_begin, ", ", item.kv_end,
               "), ", visited, " KV tiles\ncost ", number(cost - begin));
      if (part) {
        const SaccadePartial &partial = work.partials[item.partial];
        title += join("\npart ", item.partial - partial.first + 1, " of ",
                      partial.count, ", slot ", item.partial);
      }
      out += join("<rect x=\"", at(x(begin)), "\" y=\"", at(y(cta) + 0.5),
                  "\" width=\"", at(x(cost) - x(begin)), "\" height=\"",
                  at(bar - 1), "\" fill=\"", colourOf(item.request), "\"",
                  part ? " fill-opacity=\"0.55\"" : "",
                  " stroke=\"#fff\" stroke-width=\"0.5\"><title>", title,
                  "</title></rect>\n");
    }
    return out;
  }

  /// Where all ctas would end, were they equal.
  std::string averages() const {
    if (most <= 0)
      return "";
    std::string place = at(x(mean));
    return join("<line x1=\"", place, "\" y1=\"", at(y(0) - 4), "\" x2=\"",
                place, "\" y2=\"", at(y(work.ctas())),
                "\" stroke=\"#c00\" stroke-dasharray=\"4 3\"/>\n") +
           text(x(mean), y(0) - 7, "end", "mean", " fill=\"#c00\"");
  }

  std::string legend() const {
    std::string out;
    double left = kLeft, line = y(work.ctas()) + 46;
    for (size_t r = 0; r < std::min(batch.requests.size(), kLegend); ++r) {
      std::string label = join(r, ": ", batch.requests[r].kv_len, " keys");
      out += join("<rect x=\"", at(left), "\" y=\"", at(line - 9),
                  "\" width=\"10\" height=\"10\" fill=\"",
                  colourOf(static_cast<int32_t>(r)), "\"/>\n");
      if (left + 220 > kWidth) {
        out += text(left + 14, line, "start",
                    join(label, batch.requests.size() > r + 1 ? ", ..." : ""));
        return out;
      }
      out += text(left + 14, line, "start", label);
      left += 30 + 6.5 * double(label.size());
    }
    if (batch.requests.size() > kLegend)
      out += text(left, line, "start",
                  join("and ", batch.requests.size() - kLegend, " more"));
    else if (!work.partials.empty())
      out += text(left, line, "start", "(pale: parts of a tile)",
                  " fill=\"#555\"");
    return out;
  }

  const Manifest &manifest;
  const Entry &entry;
  const Batch &batch;
  const EntryWork &work;
  KeyLine keys;
  double top, bar = 0, most = 0, mean = 0, axisEnd = 0;
};

} // namespace

std::string saccade::rt::picture(const Manifest &manifest, const Batch &batch,
                                 const std::vector<EntryWork> &work) {
  std::string charts;
  double height = 0;
  for (size_t e = 0; e < work.size(); ++e) {
    // Entries of one launch have one axis.
    double scale = 0;
    if (work[e].grid.ctas())
      for (int32_t other :
           {manifest.entries[e].fused, manifest.entries[e].fusedInto})
        if (other >= 0 && !work[other].load.empty())
          scale = std::ranges::max(work[other].load);
    Chart chart(manifest, manifest.entries[e], batch, work[e], height, scale);
    charts += chart.draw();
    height += chart.height();
  }
  std::string size =
      join("width=\"", at(kWidth), "\" height=\"", at(height),
           "\" viewBox=\"0 0 ", at(kWidth), " ", at(height), "\"");
  return join("<svg xmlns=\"http://www.w3.org/2000/svg\" ", size,
              " font-family=\"sans-serif\" font-size=\"11\" fill=\"#222\">\n"
              "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
              charts, "</svg>\n");
}
