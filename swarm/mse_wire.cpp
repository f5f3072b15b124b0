#include "swarm/mse_wire.hpp"

#include <utility>

#include "dht/base/check.hpp"

namespace shoal::swarm {
namespace {

constexpr std::size_t scratch_kept = 8192;

}  // namespace

std::unique_ptr<MseWire> MseWire::make_dialler(const BtParams& params, MseMethods offered, Random& random,
                                               BufferPool& pool) {
  auto inner = BtWire::make_dialler(params, pool);
  std::vector<Buffer> first;
  inner->flush({}, first);
  Bytes initial;
  for (Buffer& part : first) {
    append(initial, part.view());
    pool.give(std::move(part));
  }
  Mse mse = Mse::dialler(params.info_hash, offered, std::move(initial), random);
  return std::unique_ptr<MseWire>{new MseWire{std::move(inner), std::move(mse), pool}};
}

std::unique_ptr<MseWire> MseWire::make_answerer(const BtParams& params, Mse&& done, BufferPool& pool) {
  SHOAL_CHECK(done.done());
  return std::unique_ptr<MseWire>{new MseWire{BtWire::make_answerer(params, pool), std::move(done), pool}};
}

void MseWire::open() {
  open_ = true;
  sending_ = mse_.take_sending();
  receiving_ = mse_.take_receiving();
}

Result<void> MseWire::receive(Now now, ByteView bytes, std::vector<wire::Message>& out) {
  if (!mse_.done())
    if (auto taken = mse_.receive(bytes); !taken) return taken;
  if (!mse_.done()) return {};
  if (!open_) {
    open();
    if (const Bytes initial = mse_.take_initial(); !initial.empty())
      if (auto taken = inner_->receive(now, initial, out); !taken) return taken;
  }
  if (!receiving_) return inner_->receive(now, bytes, out);
  scratch_.assign(bytes.begin(), bytes.end());
  receiving_->apply(scratch_);
  auto taken = inner_->receive(now, scratch_, out);
  if (scratch_.capacity() > scratch_kept && bytes.size() < scratch_kept) Bytes{}.swap(scratch_);
  return taken;
}

void MseWire::flush(Now now, std::vector<Buffer>& out) {
  if (const Bytes reply = mse_.take_reply(); !reply.empty()) {
    Buffer flight = pool_->take(reply.size());
    flight.append(reply);
    out.push_back(std::move(flight));
  }
  if (!open_) return;
  const std::size_t before = out.size();
  inner_->flush(now, out);
  if (sending_)
    for (std::size_t i = before; i < out.size(); ++i) sending_->apply(out[i].span());
}

}  // namespace shoal::swarm
