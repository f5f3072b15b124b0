// MseWire: BitTorrent's dialect behind message stream encryption (wire_codec.hpp): the handshake of mse.hpp,
// then what BtWire says and hears, under RC4 where that was chosen. Our own handshake goes as the dialler's
// first payload, so it costs no round trip of its own.
//
// Blocks are encrypted where they lie; what comes is decrypted into scratch of the size of one read.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "swarm/bt_wire.hpp"
#include "swarm/mse.hpp"

namespace shoal::swarm {

class MseWire final : public WireCodec {
 public:
  // The pool must outlive the object; `random` is only used here.
  [[nodiscard]] static std::unique_ptr<MseWire> make_dialler(const BtParams& params, MseMethods offered,
                                                             Random& random, BufferPool& pool);
  // Goes on where an answerer's finished handshake stopped; the reply to it is said already. Expects the
  // stream from the first byte behind the handshake. Precondition: done().
  [[nodiscard]] static std::unique_ptr<MseWire> make_answerer(const BtParams& params, Mse&& done,
                                                              BufferPool& pool);

  [[nodiscard]] Result<void> receive(Now now, ByteView bytes, std::vector<wire::Message>& out) override;
  [[nodiscard]] bool established() const override { return inner_->established(); }
  [[nodiscard]] crypto::PublicKey remote_key() const override { return inner_->remote_key(); }
  [[nodiscard]] Speech speech() const override { return inner_->speech(); }
  void send(Now now, wire::Message&& message) override { inner_->send(now, std::move(message)); }
  void flush(Now now, std::vector<Buffer>& out) override;
  [[nodiscard]] std::uint32_t block_lead() const override { return inner_->block_lead(); }

 private:
  MseWire(std::unique_ptr<BtWire> inner, Mse&& mse, BufferPool& pool)
      : pool_(&pool), inner_(std::move(inner)), mse_(std::move(mse)) {}
  void open();  // the handshake is done

  BufferPool* pool_;
  std::unique_ptr<BtWire> inner_;
  Mse mse_;
  bool open_ = false;
  std::optional<obfuscation::Rc4> sending_, receiving_;
  Bytes scratch_;
};

}  // namespace shoal::swarm
