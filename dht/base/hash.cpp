// SHA-1 and SHA-256. One message: OpenSSL's block functions. Many messages: ipsec-mb's multi-buffer
// scheduler, which interleaves up to 16 independent messages on one core; OpenSSL where there is no such
// library or no gain in it.
//
// Not here: BLAKE2b (crypto.hpp), Merkle trees (storage).
//
// Invariants: digests[i] belongs to messages[i] whichever path took it; no path allocates per message.
//
// OpenSSL's low-level calls are used although 3.0 marks them deprecated: a 64-byte node of a Merkle tree
// costs 95 ns that way, 170 ns through a kept EVP context and 620 ns through the one-shot call, which fetches
// the algorithm anew. ipsec-mb 1.3: plain SHA jobs take 1..65,534 bytes (longer ones are refused with an
// error), and its synchronous hash burst takes HMAC alone; hence submit and flush, and OpenSSL for the
// lengths outside.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dht/base/hash.hpp"

#include <openssl/sha.h>
#ifdef SHOAL_IPSEC_MB
#define NO_COMPAT_IMB_API_053  // its old names are macros that collide with OpenSSL's SHA1 and SHA256
#include <intel-ipsec-mb.h>
#endif

#include <utility>

#include "dht/base/check.hpp"

namespace shoal {
namespace {

SHA_CTX* as_sha1(void* context) { return static_cast<SHA_CTX*>(context); }

}  // namespace

Sha1 sha1(ByteView message) {
  SHA_CTX context;
  Sha1 out;
  SHA1_Init(&context);
  SHA1_Update(&context, message.data(), message.size());
  SHA1_Final(out.data(), &context);
  return out;
}

Sha256 sha256(ByteView message) {
  SHA256_CTX context;
  Sha256 out;
  SHA256_Init(&context);
  SHA256_Update(&context, message.data(), message.size());
  SHA256_Final(out.data(), &context);
  return out;
}

Sha256 sha256_pair(const Sha256& left, const Sha256& right) {
  ByteArray<64> both;
  std::memcpy(both.data(), left.data(), 32);
  std::memcpy(both.data() + 32, right.data(), 32);
  return sha256(both);
}

Sha1Stream::Sha1Stream() : context_(new SHA_CTX) { SHA1_Init(as_sha1(context_)); }
Sha1Stream::~Sha1Stream() { delete as_sha1(context_); }
Sha1Stream::Sha1Stream(Sha1Stream&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
Sha1Stream& Sha1Stream::operator=(Sha1Stream&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

void Sha1Stream::update(ByteView bytes) {
  SHOAL_CHECK(context_ != nullptr);
  SHA1_Update(as_sha1(context_), bytes.data(), bytes.size());
}

Sha1 Sha1Stream::finish() {
  SHOAL_CHECK(context_ != nullptr);
  Sha1 out;
  SHA1_Final(out.data(), as_sha1(context_));
  SHA1_Init(as_sha1(context_));
  return out;
}

namespace {

void one_by_one(ByteView message, Sha1& digest) { digest = sha1(message); }
void one_by_one(ByteView message, Sha256& digest) { digest = sha256(message); }

}  // namespace

#ifdef SHOAL_IPSEC_MB

namespace {

constexpr std::size_t longest_job = 65534;  // ipsec-mb keeps lengths in 16 bits

}  // namespace

struct BlockHasher::State {
  IMB_MGR* manager = nullptr;    // nullptr: OpenSSL does all
  std::size_t lanes = 1;         // messages hashed in the time of one
  std::size_t shortest_job = 1;  // below this a job costs more than OpenSSL's whole hash
  std::size_t worth_sha1 = 1;    // so many lanes must be filled to be faster than OpenSSL one by one
  std::size_t worth_sha256 = 1;
  const char* name = "OpenSSL";

  explicit State(HashPath path) {
    if (path == HashPath::portable) return;
    IMB_MGR* made = alloc_mb_mgr(0);
    if (made == nullptr) return;
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(made, &arch);
    const bool sound = imb_get_errno(made) == 0 && (made->features & IMB_FEATURE_SELF_TEST_PASS) != 0;
    const bool instructions = (made->features & IMB_FEATURE_SHANI) != 0;
    const bool wide = arch == IMB_ARCH_AVX512;
    // Eight lanes beat OpenSSL's plain code, but not the processor's own SHA instructions; sixteen beat both.
    if (!sound || !(wide || (arch == IMB_ARCH_AVX2 && (!instructions || path == HashPath::multi_buffer)))) {
      free_mb_mgr(made);
      return;
    }
    manager = made;
    lanes = wide ? 16 : 8;
    name = wide ? "ipsec-mb, AVX-512" : "ipsec-mb, AVX2";
    if (path == HashPath::multi_buffer) return;
    // Measured with 16 lanes against OpenSSL on one core, GB/s on 16 KiB blocks. With SHA instructions:
    // SHA-1 7.2 against 1.9, SHA-256 3.6 against 1.8, and a job of 64 bytes costs more than its hash;
    // without: SHA-1 3.6 against 0.84, SHA-256 1.9 against 0.30.
    shortest_job = instructions ? 512 : 1;
    worth_sha1 = instructions ? lanes / 4 + 1 : lanes / 8 + 1;
    worth_sha256 = instructions ? lanes / 2 + 1 : lanes / 8 + 1;
  }
  ~State() {
    if (manager != nullptr) free_mb_mgr(manager);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[nodiscard]] bool suits(ByteView message) const {
    return message.size() >= shortest_job && message.size() <= longest_job;
  }

  // How many of the messages go to the scheduler: whole rounds of lanes, and the rest where it fills enough
  // of them.
  [[nodiscard]] std::size_t share(std::span<const ByteView> messages, std::size_t worth) const {
    if (manager == nullptr) return 0;
    std::size_t suitable = 0;
    for (ByteView message : messages) suitable += suits(message) ? 1U : 0U;
    const std::size_t rest = suitable % lanes;
    return rest < worth ? suitable - rest : suitable;
  }

  void submit(IMB_HASH_ALG algorithm, ByteView message, MutableBytes digest) {
    IMB_JOB* job = IMB_GET_NEXT_JOB(manager);
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = algorithm;
    job->src = message.data();
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = message.size();
    job->auth_tag_output = digest.data();
    job->auth_tag_output_len_in_bytes = digest.size();
    const IMB_JOB* done = IMB_SUBMIT_JOB(manager);
    SHOAL_CHECK(imb_get_errno(manager) == 0 && (done == nullptr || done->status == IMB_STATUS_COMPLETED));
  }
  void flush() {
    while (const IMB_JOB* done = IMB_FLUSH_JOB(manager)) SHOAL_CHECK(done->status == IMB_STATUS_COMPLETED);
  }

  template <class Digest>
  void run(std::span<const ByteView> messages, std::span<Digest> digests) {
    constexpr bool is_sha1 = sizeof(Digest) == sizeof(Sha1);
    std::size_t left = share(messages, is_sha1 ? worth_sha1 : worth_sha256);
    const bool any = left > 0;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (left == 0 || !suits(messages[i])) {
        one_by_one(messages[i], digests[i]);
        continue;
      }
      submit(is_sha1 ? IMB_AUTH_SHA_1 : IMB_AUTH_SHA_256, messages[i], digests[i]);
      --left;
    }
    if (any) flush();
  }
};

#else

struct BlockHasher::State {
  static constexpr const void* manager = nullptr;
  static constexpr const char* name = "OpenSSL";
  explicit State(HashPath) {}

  template <class Digest>
  void run(std::span<const ByteView> messages, std::span<Digest> digests) {
    for (std::size_t i = 0; i < messages.size(); ++i) one_by_one(messages[i], digests[i]);
  }
};

#endif

BlockHasher::BlockHasher(HashPath path) : state_(std::make_unique<State>(path)) {}
BlockHasher::~BlockHasher() = default;
BlockHasher::BlockHasher(BlockHasher&&) noexcept = default;
BlockHasher& BlockHasher::operator=(BlockHasher&&) noexcept = default;

void BlockHasher::sha256(std::span<const ByteView> messages, std::span<Sha256> digests) {
  SHOAL_CHECK(messages.size() == digests.size());
  state_->run(messages, digests);
}

void BlockHasher::sha1(std::span<const ByteView> messages, std::span<Sha1> digests) {
  SHOAL_CHECK(messages.size() == digests.size());
  state_->run(messages, digests);
}

bool BlockHasher::multi_buffer() const { return state_->manager != nullptr; }
const char* BlockHasher::name() const { return state_->name; }

}  // namespace shoal
