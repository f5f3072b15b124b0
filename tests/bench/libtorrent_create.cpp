// Writes a .torrent with libtorrent on all cores, for the bench: the Python bindings hash on one.
//   libtorrent_create v1|v2|hybrid PATH OUT
#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <libtorrent/bencode.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/settings_pack.hpp>

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const std::string_view form = arguments[1];
  const std::string path = arguments[2];
  lt::file_storage files;
  lt::add_files(files, path);
  lt::create_flags_t flags{};
  if (form == "v1") flags = lt::create_torrent::v1_only;
  if (form == "v2") flags = lt::create_torrent::v2_only;
  lt::create_torrent maker{files, 0, flags};
  lt::settings_pack settings;
  settings.set_int(lt::settings_pack::hashing_threads,
                   static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  lt::set_piece_hashes(maker, path.substr(0, path.rfind('/')), settings, [](lt::piece_index_t) {});
  std::vector<char> torrent;
  lt::bencode(std::back_inserter(torrent), maker.generate());
  std::ofstream{arguments[3], std::ios::binary}.write(torrent.data(),
                                                      static_cast<std::streamsize>(torrent.size()));
  return 0;
}
