// The catalog's tables and how older versions become the present one. A version is never edited once
// released: what changes is a further step.
#pragma once

#include <cstdint>

#include "dht/base/result.hpp"
#include "storage/sqlite.hpp"

namespace shoal::storage {

inline constexpr std::int64_t catalog_application_id = 0x53484f4c;  // "SHOL", in SQLite's header
inline constexpr std::int64_t catalog_version = 4;

// Recognises the file before it changes a byte of it: empty -> made anew; ours -> migrated where older;
// anything else -> malformed, and a newer one unsupported.
[[nodiscard]] Result<void> prepare_schema(sqlite::Database& database);

}  // namespace shoal::storage
