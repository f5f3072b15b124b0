// SHA-1 and SHA-256. One message: OpenSSL's block functions. Many messages of SHA-256: ipsec-mb's
// multi-buffer scheduler, which works on 16, 8 or 2 independent messages side by side on one core; OpenSSL
// where there is no such library or no gain in it.
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
#include <xxhash.h>
#ifdef SHOAL_X86_64
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

std::uint64_t checksum(ByteView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

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

#ifdef SHOAL_X86_64

namespace {

constexpr std::size_t longest_job = 65534;  // ipsec-mb keeps lengths in 16 bits

bool works(const IMB_MGR* manager) {
  return imb_get_errno(const_cast<IMB_MGR*>(manager)) == 0 &&    // unreachable: else the library is broken
         (manager->features & IMB_FEATURE_SELF_TEST_PASS) != 0;  // unreachable: likewise
}

}  // namespace

struct BlockHasher::State {
  IMB_MGR* manager = nullptr;    // nullptr: OpenSSL does all
  std::size_t lanes = 1;         // messages hashed in the time of one
  std::size_t shortest_job = 1;  // below this a job costs more than OpenSSL's whole hash
  std::size_t worth = 1;         // so many lanes must be filled to be faster than OpenSSL one by one
  const char* name = "OpenSSL";

  // Measured on one core, GB/s on 16 KiB blocks, beside OpenSSL one by one. Zen 4: sixteen lanes 3.6, OpenSSL
  // with the processor's SHA instructions 1.8, without 0.30. Zen 3: two messages interleaved by those
  // instructions 3.1, eight lanes of AVX2 1.6, OpenSSL 1.5. With those instructions a job of 64 bytes costs
  // more than its hash.
  explicit State(HashPath path) {
    if (path == HashPath::portable) return;
    manager = alloc_mb_mgr(0);
    if (manager == nullptr) return;  // unreachable: on a machine that has memory for it
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(manager, &arch);
    const bool instructions = (manager->features & IMB_FEATURE_SHANI) != 0;
    if (arch == IMB_ARCH_AVX512) {  // unreachable: each processor goes one way
      use(16, "ipsec-mb, AVX-512");
      if (instructions) worth = lanes / 2 + 1;  // unreachable: likewise
    } else if (instructions) {                  // unreachable: likewise
      init_mb_mgr_sse(manager);
      use(2, "ipsec-mb, SHA instructions");
    } else if (arch == IMB_ARCH_AVX2) {  // unreachable: likewise
      use(8, "ipsec-mb, AVX2");
    } else {
      drop();
      return;
    }
    if (path == HashPath::best && instructions) shortest_job = 512;  // unreachable: likewise
    if (path == HashPath::multi_buffer) worth = 1;
    if (!works(manager)) drop();  // unreachable: as above
  }
  ~State() { drop(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void use(std::size_t at_once, const char* called) {
    lanes = at_once;
    name = called;
    worth = 2;
  }
  void drop() {
    if (manager != nullptr) free_mb_mgr(manager);
    manager = nullptr;
    name = "OpenSSL";
  }

  [[nodiscard]] bool suits(ByteView message) const {
    return message.size() >= shortest_job && message.size() <= longest_job;
  }

  // How many of the messages go to the scheduler: whole rounds of lanes, and the rest where it fills enough
  // of them.
  [[nodiscard]] std::size_t share(std::span<const ByteView> messages) const {
    if (manager == nullptr) return 0;
    std::size_t suitable = 0;
    for (ByteView message : messages) suitable += suits(message) ? 1U : 0U;
    const std::size_t rest = suitable % lanes;
    return rest < worth ? suitable - rest : suitable;
  }

  void submit(ByteView message, Sha256& digest) {
    IMB_JOB* job = IMB_GET_NEXT_JOB(manager);
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_256;
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

  void run(std::span<const ByteView> messages, std::span<Sha256> digests) {
    std::size_t left = share(messages);
    const bool any = left > 0;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (left == 0 || !suits(messages[i])) {
        digests[i] = shoal::sha256(messages[i]);
        continue;
      }
      submit(messages[i], digests[i]);
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

  void run(std::span<const ByteView> messages, std::span<Sha256> digests) {
    for (std::size_t i = 0; i < messages.size(); ++i) digests[i] = shoal::sha256(messages[i]);
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

bool BlockHasher::multi_buffer() const { return state_->manager != nullptr; }
const char* BlockHasher::name() const { return state_->name; }

}  // namespace shoal
