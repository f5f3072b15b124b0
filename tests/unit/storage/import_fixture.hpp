// What tests of the importer share: importing by one thread what lies at some paths.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/importer.hpp"
#include "storage/posix_vfs.hpp"
#include "tests/unit/storage/content_fixture.hpp"
#include "tests/unit/storage/folder_fixture.hpp"

namespace shoal::storage::fixture {

inline Salt some_salt() {
  Salt salt;
  salt.fill(9);
  return salt;
}

inline PathResult<Imported> import_with(Vfs& vfs, const std::vector<std::string>& paths,
                                        const ImportOptions& options, std::string_view name = {}) {
  const auto seen = survey(vfs, paths, name);
  if (!seen) return std::unexpected(seen.error());
  SerialExecutor executor;
  return import_content(vfs, *seen, options, executor);
}

inline PathResult<Imported> import_paths(const std::vector<std::string>& paths, const ImportOptions& options,
                                         std::string_view name = {}) {
  PosixVfs vfs;
  return import_with(vfs, paths, options, name);
}

// The files that libtorrent was given for the constants here and in metainfo_test.
inline void fill_known_folder(const TempFolder& temp) {
  temp.file("folder/Z", pattern(16384));
  temp.file("folder/a/empty", {});
  temp.file("folder/a/one", pattern(20000));
  temp.file("folder/a.b/two", pattern(300000));
  temp.file("folder/a.txt", pattern(5));
  temp.file("folder/z/y/three", pattern(70000));
  chmod(temp.path("folder/Z").c_str(), 0755);
}

}  // namespace shoal::storage::fixture
