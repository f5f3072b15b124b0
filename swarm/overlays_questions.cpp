// Overlays: the user's questions to the DHT (`shoal dht`), each put to one overlay or to mainline's of both
// families, and answered when the last of these has.
#include <algorithm>
#include <utility>

#include "swarm/overlays.hpp"

namespace shoal::swarm {

void Overlays::ping(Now now, CommandId command, const Endpoint& who) {
  if (Overlay* overlay = any_of(who.address.family))
    started(now, *overlay, overlay->node.ping(now, who, node_output_),
            {.kind = Purpose::Kind::question, .command = command});
  else
    events_.push_back(OverlayAnswer{command, PingAnswer{who, std::nullopt, {}}});
}

std::vector<Overlays::Overlay*> Overlays::mainline() {
  std::vector<Overlay*> out;
  for (Overlay& overlay : overlays_)
    if (overlay.dialect == Dialect::mainline) out.push_back(&overlay);
  return out;
}

// All are counted before the first begins: it may end at once.
template <class Begin>
void Overlays::put_question(Now now, CommandId command, Question question, const std::vector<Overlay*>& whom,
                            Begin begin) {
  question.left = static_cast<std::uint32_t>(whom.size()) + 1;
  questions_.insert_or_assign(command, std::move(question));
  for (Overlay* overlay : whom)
    started(now, *overlay, begin(overlay->node), {.kind = Purpose::Kind::question, .command = command});
  answered(command);
}

void Overlays::find(Now now, CommandId command, const Key& target) {
  std::vector<Overlay*> first;
  if (!overlays_.empty()) first.push_back(&overlays_.front());
  put_question(now, command, {}, first,
               [&](dht::Node& node) { return node.find_node(now, target, usual_paths, node_output_); });
}

void Overlays::get_peers(Now now, CommandId command, const InfoHash& content) {
  put_question(now, command, {}, mainline(),
               [&](dht::Node& node) { return node.get_peers(now, dht_key(content), node_output_); });
}

void Overlays::get_item(Now now, CommandId command, const Key& target, const Bytes& salt) {
  put_question(now, command, {}, mainline(),
               [&](dht::Node& node) { return node.get_item(now, target, salt, node_output_); });
}

void Overlays::put_item(Now now, CommandId command, const dht::ItemPut& put) {
  put_question(now, command, {.sum = PutAnswer{}}, mainline(),
               [&](dht::Node& node) { return node.put_item(now, put.item, put.expected, node_output_); });
}

void Overlays::answer(const Purpose& purpose, dht::SearchDone& done) {
  if (auto* sum = std::get_if<LookupAnswer>(&questions_[purpose.command].sum)) {
    sum->closest.insert(sum->closest.end(), done.closest.begin(), done.closest.end());
    sum->asked += done.stats.queries;
    sum->answered += done.stats.answered;
    sum->hops = std::max<std::uint32_t>(sum->hops, done.stats.depth);
    sum->took = std::max(sum->took, done.stats.took);
  }
  answered(purpose.command);
}

void Overlays::answer(const Purpose& purpose, const dht::PutDone& done) {
  if (auto* sum = std::get_if<PutAnswer>(&questions_[purpose.command].sum)) {
    sum->stored += done.stored;
    sum->refused += done.refused;
  }
  answered(purpose.command);
}

void Overlays::answered(CommandId command) {
  const auto question = questions_.find(command);
  if (question == questions_.end() || --question->second.left > 0) return;
  std::visit([&](auto& sum) { events_.push_back(OverlayAnswer{command, std::move(sum)}); },
             question->second.sum);
  questions_.erase(question);
}

}  // namespace shoal::swarm
