// Plots (plot.hpp). Colours: Okabe & Ito, "Color Universal Design" (2008), told apart by colour-blind people
// as well; series of points differ in shape besides. The width of a text is estimated, since no font is at
// hand: what depends on it is only how much room is kept.
#include "cli/plot.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/axis.hpp"
#include "cli/render.hpp"
#include "storage/names.hpp"

namespace shoal::cli {
namespace {

using sim::Series;

constexpr double width = 800, height = 500;
constexpr double title_size = 17, legend_size = 13, axis_size = 13, tick_size = 12, caption_size = 10.5;
constexpr double margin = 16, sample = 28, legend_line = 22;
constexpr int wanted_x_ticks = 8, wanted_y_ticks = 6;
// An eighth series would repeat the first one's colour.
constexpr std::array<const char*, 7> colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                             "#e69f00", "#56b4e9", "#000000"};

// About how wide characters are, in font sizes.
constexpr double narrow = 0.34, usual = 0.59, broad = 0.88;

double text_width(std::string_view text, double size) {
  constexpr std::string_view slim = " !'(),.:;[]fijlrtI|", stout = "mwMW@%";
  const auto of = [&](std::string_view some) {
    return static_cast<double>(
        std::count_if(text.begin(), text.end(), [&](char c) { return some.find(c) != some.npos; }));
  };
  return size * (display_width(text) * usual - of(slim) * (usual - narrow) + of(stout) * (broad - usual));
}

// How many characters there is room for.
unsigned characters(double room, double size) { return static_cast<unsigned>(room / (size * usual)); }

// Text as XML: escaped for screens first, so that control characters and broken UTF-8 are gone.
std::string xml(std::string_view text) {
  std::string out;
  for (const char c : storage::escape_for_display(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

const char* colour_of(std::size_t series) { return colours[series % colours.size()]; }

enum class Anchor : std::uint8_t { start, middle, end };

class Drawing {
 public:
  Drawing(const sim::Plot& plot, std::string_view caption) : plot_(plot), caption_(caption) {}
  std::string draw();

 private:
  void text(double x, double y, std::string_view what, double size, Anchor anchor, const char* more = "");
  void line(double x1, double y1, double x2, double y2, const char* colour);
  void set_axes();
  void title();
  void legend();
  void legend_sample(double x, double y, std::size_t series);
  void grid();
  void curve(std::size_t series);
  void marker(double x, double y, std::size_t series);

  [[nodiscard]] bool shown(const std::pair<double, double>& point) const {
    return x_.shows(point.first) && y_.shows(point.second);
  }
  [[nodiscard]] double across(double x) const { return left_ + x_.part(x) * (right_ - left_); }
  [[nodiscard]] double down(double y) const { return bottom_ - y_.part(y) * (bottom_ - top_); }

  const sim::Plot& plot_;
  std::string_view caption_;
  std::string out_;
  Axis x_, y_;
  double left_ = 0, right_ = width, top_ = 0, bottom_ = height;  // of the area in which the curves are
};

void Drawing::text(double x, double y, std::string_view what, double size, Anchor anchor, const char* more) {
  static constexpr std::array anchors{"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
  out_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\"{}{}>{}</text>\n", x, y, size,
                      anchors[static_cast<std::size_t>(anchor)], more, xml(what));
}

void Drawing::line(double x1, double y1, double x2, double y2, const char* colour) {
  out_ += fmt::format("<path d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\" stroke=\"{}\"/>\n", x1, y1, x2, y2, colour);
}

// The axes, and from their labels the room on each side. The top is known by now.
void Drawing::set_axes() {
  std::vector<double> xs, ys;
  x_.scale = plot_.x_scale;
  y_.scale = plot_.y_scale;
  for (const Series& series : plot_.series)
    for (const auto& point : series.points)
      if (shown(point)) xs.push_back(point.first), ys.push_back(point.second);
  x_ = axis_for(xs, plot_.x_scale, End::at_value, wanted_x_ticks);
  y_ = axis_for(ys, plot_.y_scale, End::at_tick, wanted_y_ticks);
  double label = 0;
  for (const Tick& tick : y_.ticks) label = std::max(label, text_width(tick.label, tick_size));
  left_ = margin + axis_size + 12 + label + 8;
  const double last = x_.ticks.empty() ? 0 : text_width(x_.ticks.back().label, tick_size);
  right_ = width - std::max(margin + 8, last / 2 + 8);
  bottom_ = height - (caption_.empty() ? 54 : 72);
}

void Drawing::title() {
  const unsigned room = characters(width - 2 * margin, title_size);
  double y = margin + title_size - 2;
  for (const std::string& line : wrap(plot_.title, room)) {
    text(margin, y, line, title_size, Anchor::start, " font-weight=\"600\" fill=\"#111111\"");
    y += title_size + 5;
  }
  top_ = y;
}

void Drawing::legend_sample(double x, double y, std::size_t series) {
  if (plot_.series[series].style == Series::Style::points) {
    marker(x + sample / 2, y, series);
    return;
  }
  const bool dashed = plot_.series[series].style == Series::Style::dashed;
  out_ += fmt::format("<path d=\"M{:.1f} {:.1f}h{}\" stroke=\"{}\" stroke-width=\"2.4\"{}/>\n", x, y, sample,
                      colour_of(series), dashed ? " stroke-dasharray=\"7 4\"" : "");
}

// Below the title, in as many lines as it takes.
void Drawing::legend() {
  if (plot_.series.empty()) return;
  double x = margin, y = top_ - 2;
  for (std::size_t i = 0; i < plot_.series.size(); ++i) {
    const std::string& name = plot_.series[i].name;
    const double room = sample + 7 + text_width(name, legend_size) + 20;
    if (x > margin && x + room > width - margin) x = margin, y += legend_line;
    legend_sample(x, y, i);
    text(x + sample + 7, y + legend_size * 0.36, name, legend_size, Anchor::start);
    x += room;
  }
  top_ = y + legend_line;
}

void Drawing::grid() {
  out_ += "<g stroke-width=\"1\" fill=\"none\">\n";
  for (const Tick& tick : x_.ticks) line(across(tick.value), top_, across(tick.value), bottom_, "#eeeeee");
  for (const Tick& tick : y_.ticks) line(left_, down(tick.value), right_, down(tick.value), "#e2e2e2");
  for (const Tick& tick : x_.ticks)
    line(across(tick.value), bottom_, across(tick.value), bottom_ + 5, "#555555");
  line(left_, top_, left_, bottom_, "#555555");
  line(left_, bottom_, right_, bottom_, "#555555");
  out_ += "</g>\n<g fill=\"#444444\">\n";
  for (const Tick& tick : x_.ticks)
    text(across(tick.value), bottom_ + 19, tick.label, tick_size, Anchor::middle);
  for (const Tick& tick : y_.ticks)
    text(left_ - 8, down(tick.value) + tick_size * 0.35, tick.label, tick_size, Anchor::end);
  out_ += "</g>\n";
  text((left_ + right_) / 2, bottom_ + 41, plot_.x, axis_size, Anchor::middle);
  const double middle = (top_ + bottom_) / 2, at = margin + axis_size - 2;
  text(at, middle, plot_.y, axis_size, Anchor::middle,
       fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", at, middle).c_str());
  if (!caption_.empty()) {
    const unsigned room = characters(width - 2 * margin, caption_size);
    text(width - margin, height - 10, clip(caption_, room), caption_size, Anchor::end, " fill=\"#777777\"");
  }
}

void Drawing::marker(double x, double y, std::size_t series) {
  const char* look = "stroke=\"#ffffff\" stroke-width=\"1\"";
  static constexpr std::array shapes{"m-4 -4h8v8h-8z", "m0 -5.6l5.6 5.6l-5.6 5.6l-5.6 -5.6z",
                                     "m0 -5.4l5 8.8h-10z"};
  const auto before = plot_.series.begin() + static_cast<std::ptrdiff_t>(series);
  const auto shape = static_cast<std::size_t>(std::count_if(
                         plot_.series.begin(), before,
                         [](const Series& each) { return each.style == Series::Style::points; })) %
                     (shapes.size() + 1);
  if (shape == 0)
    out_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.6\" fill=\"{}\" {}/>\n", x, y,
                        colour_of(series), look);
  else
    out_ += fmt::format("<path d=\"M{:.1f} {:.1f}{}\" fill=\"{}\" {}/>\n", x, y, shapes[shape - 1],
                        colour_of(series), look);
}

// A line in as many pieces as gaps leave of it; a lone point becomes a dot. Places that are the same when
// rounded are drawn once.
void Drawing::curve(std::size_t index) {
  const Series& series = plot_.series[index];
  if (series.style == Series::Style::points) {
    for (const auto& point : series.points)
      if (shown(point)) marker(across(point.first), down(point.second), index);
    return;
  }
  std::string path, piece, last;
  std::pair<double, double> place;
  std::size_t of_piece = 0;
  const auto end_piece = [&] {
    if (of_piece == 1)
      out_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.4\" fill=\"{}\"/>\n", place.first,
                          place.second, colour_of(index));
    else
      path += piece;
    of_piece = 0;
    piece.clear();
    last.clear();
  };
  for (const auto& point : series.points) {
    if (!shown(point)) {
      end_piece();
      continue;
    }
    place = {across(point.first), down(point.second)};
    std::string text = fmt::format("{:.1f} {:.1f}", place.first, place.second);
    if (text == last) continue;
    piece.append(of_piece++ == 0 ? "M" : "L").append(text);
    last = std::move(text);
  }
  end_piece();
  if (path.empty()) return;
  const bool dashed = series.style == Series::Style::dashed;
  out_ += fmt::format(
      "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2.4\" stroke-linejoin=\"round\"{}/>\n", path,
      colour_of(index), dashed ? " stroke-dasharray=\"7 4\"" : " stroke-linecap=\"round\"");
}

std::string Drawing::draw() {
  out_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "role=\"img\" fill=\"#222222\" font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', "
      "sans-serif\">\n<title>{2}</title>\n<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n",
      width, height, xml(plot_.title));
  title();
  legend();
  set_axes();
  grid();
  for (std::size_t i = 0; i < plot_.series.size(); ++i)  // points stand above lines
    if (plot_.series[i].style != Series::Style::points) curve(i);
  for (std::size_t i = 0; i < plot_.series.size(); ++i)
    if (plot_.series[i].style == Series::Style::points) curve(i);
  out_ += "</svg>\n";
  return std::move(out_);
}

}  // namespace

std::string draw_plot(const sim::Plot& plot, std::string_view caption) {
  return Drawing{plot, caption}.draw();
}

}  // namespace shoal::cli
