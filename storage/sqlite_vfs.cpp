// SQLite's file layer over a storage::Folder (sqlite_vfs.hpp). Source: sqlite.org/vfs.html, sqlite3.h.
//
// What is claimed of the disk is what SQLite's own Unix layer claims: a write torn by a power cut changes no
// byte outside the write (POWERSAFE_OVERWRITE); nothing of order or of whole sectors. A new file's name is
// made durable with its first sync, as the Unix layer does.
#include "storage/sqlite_vfs.hpp"

#include <cstring>
#include <new>

#include <sqlite3.h>

#include "dht/base/check.hpp"

namespace shoal::storage {

struct SqliteVfs::State {
  sqlite3_vfs vfs{};
  Folder* folder = nullptr;
  int last_errno = 0;

  int note(const Error& error, int otherwise) {
    last_errno = error.os_errno;
    if (error.code == Code::no_space) return SQLITE_FULL;
    return otherwise;
  }
};

namespace {

using State = SqliteVfs::State;

// SQLite allocates szOsFile bytes and looks at `base` alone; the rest is ours.
struct OpenDatabase {
  sqlite3_file base;
  State* state;
  File* file;     // owned, freed in close
  bool new_name;  // its folder is not synced yet
};

OpenDatabase& of(sqlite3_file* file) { return *reinterpret_cast<OpenDatabase*>(file); }
State& of(sqlite3_vfs* vfs) { return *static_cast<State*>(vfs->pAppData); }

int close_file(sqlite3_file* file) {
  delete of(file).file;
  of(file).file = nullptr;
  return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  const MutableBytes into{static_cast<std::uint8_t*>(out), static_cast<std::size_t>(size)};
  const auto got = of(file).file->read_at(static_cast<std::uint64_t>(offset), into);
  if (!got) return of(file).state->note(got.error(), SQLITE_IOERR_READ);
  if (*got == into.size()) return SQLITE_OK;
  std::memset(into.data() + *got, 0, into.size() - *got);  // SQLite relies on this
  return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
  const ByteView bytes{static_cast<const std::uint8_t*>(from), static_cast<std::size_t>(size)};
  const auto done = of(file).file->write_at(static_cast<std::uint64_t>(offset), bytes);
  return done ? SQLITE_OK : of(file).state->note(done.error(), SQLITE_IOERR_WRITE);
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  const auto done = of(file).file->resize(static_cast<std::uint64_t>(size));
  return done ? SQLITE_OK : of(file).state->note(done.error(), SQLITE_IOERR_TRUNCATE);
}

int sync_file(sqlite3_file* file, int) {
  OpenDatabase& open = of(file);
  if (const auto done = open.file->sync(); !done) return open.state->note(done.error(), SQLITE_IOERR_FSYNC);
  if (!open.new_name) return SQLITE_OK;
  if (const auto done = open.state->folder->sync_folder(""); !done)
    return open.state->note(done.error(), SQLITE_IOERR_DIR_FSYNC);
  open.new_name = false;
  return SQLITE_OK;
}

int size_of_file(sqlite3_file* file, sqlite3_int64* out) {
  const auto stamp = of(file).file->stamp();
  if (!stamp) return of(file).state->note(stamp.error(), SQLITE_IOERR_FSTAT);
  *out = static_cast<sqlite3_int64>(stamp->size);
  return SQLITE_OK;
}

int lock_file(sqlite3_file*, int) { return SQLITE_OK; }

int check_reserved_lock(sqlite3_file*, int* out) {
  *out = 0;
  return SQLITE_OK;
}

int control_file(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 4096; }
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

constexpr sqlite3_io_methods make_methods() {
  sqlite3_io_methods out{};
  out.iVersion = 1;  // no shared memory, no mapping
  out.xClose = close_file;
  out.xRead = read_file;
  out.xWrite = write_file;
  out.xTruncate = truncate_file;
  out.xSync = sync_file;
  out.xFileSize = size_of_file;
  out.xLock = lock_file;
  out.xUnlock = lock_file;
  out.xCheckReservedLock = check_reserved_lock;
  out.xFileControl = control_file;
  out.xSectorSize = sector_size;
  out.xDeviceCharacteristics = characteristics;
  return out;
}
constexpr sqlite3_io_methods methods = make_methods();

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  State& state = of(vfs);
  file->pMethods = nullptr;                     // no close after a failed open
  if (name == nullptr) return SQLITE_CANTOPEN;  // a temporary file: the catalog keeps those in memory
  const bool writable = (flags & SQLITE_OPEN_READWRITE) != 0;
  bool created = false;
  auto opened = state.folder->open(name, writable ? OpenMode::write : OpenMode::read);
  if (!opened && opened.error().code == Code::not_found && (flags & SQLITE_OPEN_CREATE) != 0) {
    opened = state.folder->open(name, OpenMode::create);
    created = opened.has_value();
  }
  if (!opened) return state.note(opened.error(), SQLITE_CANTOPEN);
  auto* open = ::new (static_cast<void*>(file)) OpenDatabase{};
  open->base.pMethods = &methods;
  open->state = &state;
  open->file = opened->release();
  open->new_name = created;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  State& state = of(vfs);
  if (const auto done = state.folder->remove(name); !done)
    return done.error().code == Code::not_found ? SQLITE_IOERR_DELETE_NOENT
                                                : state.note(done.error(), SQLITE_IOERR_DELETE);
  if (sync_folder == 0) return SQLITE_OK;
  const auto done = state.folder->sync_folder("");
  return done ? SQLITE_OK : state.note(done.error(), SQLITE_IOERR_DIR_FSYNC);
}

int access_file(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
  const auto entry = of(vfs).folder->stat(name);
  if (!entry && entry.error().code != Code::not_found)
    return of(vfs).note(entry.error(), SQLITE_IOERR_ACCESS);
  // An empty log counts as none, as in the Unix layer.
  *out = entry && (flags != SQLITE_ACCESS_EXISTS || entry->stamp.size > 0) ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int room, char* out) {
  const std::size_t length = std::strlen(name) + 1;
  if (length > static_cast<std::size_t>(room)) return SQLITE_CANTOPEN;
  std::memcpy(out, name, length);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs*, int size, char* out) {
  std::memset(out, 0x5a, static_cast<std::size_t>(size));
  return size;
}

int sleep_none(sqlite3_vfs*, int microseconds) { return microseconds; }

int current_time_days(sqlite3_vfs*, double* out) {
  *out = 2460000.5;  // Julian days; nothing in the catalog asks
  return SQLITE_OK;
}

int last_error(sqlite3_vfs* vfs, int, char*) { return of(vfs).last_errno; }

}  // namespace

SqliteVfs::SqliteVfs(std::string name, Folder& folder)
    : name_(std::move(name)), state_(std::make_unique<State>()) {
  state_->folder = &folder;
  sqlite3_vfs& vfs = state_->vfs;
  vfs.iVersion = 1;
  vfs.szOsFile = sizeof(OpenDatabase);
  vfs.mxPathname = 512;
  vfs.zName = name_.c_str();
  vfs.pAppData = state_.get();
  vfs.xOpen = open_file;
  vfs.xDelete = delete_file;
  vfs.xAccess = access_file;
  vfs.xFullPathname = full_path;
  vfs.xRandomness = randomness;
  vfs.xSleep = sleep_none;
  vfs.xCurrentTime = current_time_days;
  vfs.xGetLastError = last_error;
  SHOAL_CHECK(sqlite3_vfs_find(name_.c_str()) == nullptr);
  SHOAL_CHECK(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
}

SqliteVfs::~SqliteVfs() { sqlite3_vfs_unregister(&state_->vfs); }

}  // namespace shoal::storage
