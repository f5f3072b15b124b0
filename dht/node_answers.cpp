// Node: others' queries. The reply, and what a query makes us do besides: ask the asker for its proof, so
// that it may enter the table; let a third node ping it; learn that strangers reach us.
//
// Invariant (THREATS A11): to a source that has not proven its address, reply and ping together weigh at most
// three times the query. A probe goes to somebody who did not ask, so it is rare and small.
#include <algorithm>

#include "dht/limits.hpp"
#include "dht/node_state.hpp"
#include "dht/proof.hpp"

namespace shoal::dht {
namespace {

constexpr std::size_t probe_askers_kept = 8;  // enough that one of them is not the asker itself

}  // namespace

void NodeState::on_query(Now now, const Endpoint& from, std::size_t room, const Query& query,
                         NodeOutput& out) {
  Message message{Reply{}};
  auto& reply = std::get<Reply>(message);
  reply.transaction = query.transaction;
  reply.sender = position;
  if (read_only) reply.role = SenderRole::read_only;
  const bool record_query = !query.sender;
  if (traits.proofs == Proofs::absent) reply.observed = from;
  if (query.proof == ProofWanted::yes && traits.proofs == Proofs::required &&
      guard.admit_signature(now.mono, from) == Acceptance::pass) {
    reply.observed = from;
    const ProofSubject subject{query.transaction, record_query ? Key{} : *query.sender, position, from};
    reply.proof = prove(config.identity, subject, unix_ms(now.wall), *config.signatures);
    ++counters.signatures_made;
  }
  const RoutingTable* other = sibling == nullptr ? nullptr : &sibling->table;
  Surroundings around{table, other, holdings, tokens, *codec, random, config.family, external, reply_scratch};
  respond(query, from, now, around, message);
  Bytes bytes;
  const bool fits = encode_within(*codec, message, room, bytes);
  const std::size_t replied = fits ? bytes.size() : 0;
  if (fits) {
    ++counters.replies_out;
    if (record_query) counters.bytes_out_searches += replied;
    send(from, std::move(bytes), out);
  }
  consider_asker(now, from, query, room - replied);
  if (query.probe == ProbeWanted::yes) pass_probe_on(now, from, out);
  if (const auto* probe = std::get_if<ProbeQuery>(&query.body)) on_probe(now, *probe, out);
}

// `room`: bytes that may still go to this source.
void NodeState::consider_asker(Now now, const Endpoint& from, const Query& query, std::size_t room) {
  if (room < traits.ping_bytes) return;
  const bool stranger = hopes_to_be_reached() && allowed(from) && known.stranger(from, now.mono);
  const bool need_address = !external && config.scope == Scope::internet && allowed(from);
  bool could_enter = false;
  if (query.sender && query.role == SenderRole::full && allowed(from)) {
    const Contact* contact = table.find(from);
    if (contact != nullptr) {
      could_enter = contact->id != *query.sender;  // somebody else may live there now
    } else {
      const NodeInfo asker{*query.sender, from};
      could_enter = heard_usable(asker, now.mono) && table.has_room_for(asker.id, from.address) &&
                    unverified(from, asker.id, now.mono);
    }
  }
  const bool needed = stranger || need_address;
  // Under fast churn every bucket has room, and every asker could enter: most would be gone before they are
  // of use.
  if (could_enter && !needed && !size.region().contains(distance(position, *query.sender)))
    could_enter = asker_pace.admit(now.mono, far_pace(), limits::verify_askers_burst);
  if (needed || could_enter) queue_verification({from, query.sender, stranger});
}

bool NodeState::unverified(const Endpoint& endpoint, const Key& id, Instant now) const {
  if (const Contact* contact = table.find(endpoint); contact != nullptr && contact->id == id)
    return now - contact->proven > limits::proof_life;
  if (traits.proofs == Proofs::absent) return !known.validated(endpoint, now);
  const Proven* proven = known.proven(endpoint, now);
  // Who was read-only may have been reached since.
  return proven == nullptr || proven->position != id || proven->role == SenderRole::read_only;
}

void NodeState::queue_verification(const Verification& verification) {
  for (Verification& queued : verifications) {
    if (queued.endpoint != verification.endpoint) continue;
    queued.stranger = queued.stranger || verification.stranger;
    return;
  }
  if (verifications.size() < limits::verify_queue) verifications.push_back(verification);
}

// Chooses who will ping `subject`: a random contact, or another who wished to be probed. Not on its own host.
void NodeState::pass_probe_on(Now now, const Endpoint& subject, NodeOutput& out) {
  if (!allowed(subject) || subject.port < limits::least_heard_port) return;
  const auto elsewhere = [&](const Endpoint& endpoint) { return endpoint.address != subject.address; };
  std::vector<Endpoint> choice;
  Key random_point{random.bytes<32>()};
  contact_scratch.clear();
  table.closest(random_point, limits::k, RoutingTable::Choice::fit, now.mono, contact_scratch);
  for (const Contact* contact : contact_scratch)
    if (elsewhere(contact->endpoint)) choice.push_back(contact->endpoint);
  if (choice.empty())
    std::copy_if(probe_askers.begin(), probe_askers.end(), std::back_inserter(choice), elsewhere);
  std::erase(probe_askers, subject);
  if (probe_askers.size() >= probe_askers_kept) probe_askers.pop_front();
  probe_askers.push_back(subject);
  if (choice.empty() || now.mono < next_probe_passed) return;
  next_probe_passed = now.mono + limits::probes_sent_every;
  Sending sending;
  sending.purpose = Purpose::probe;
  send_query(now, choice[static_cast<std::size_t>(random.below(choice.size()))], ProbeQuery{subject}, sending,
             out);
}

void NodeState::on_probe(Now now, const ProbeQuery& probe, NodeOutput& out) {
  if (!allowed(probe.subject) || probe.subject.port < limits::least_heard_port ||
      now.mono < next_probe_answered)
    return;
  if (external && probe.subject.address == external->address) return;  // our own NAT would answer for it
  next_probe_answered = now.mono + limits::probes_sent_every;
  Sending sending;
  sending.purpose = Purpose::verify;
  sending.proof = ProofWanted::yes;
  send_query(now, probe.subject, PingQuery{}, sending, out);
}

}  // namespace shoal::dht
