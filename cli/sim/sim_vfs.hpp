// storage::Vfs over a DiskImage: what the product sees of a virtual disk. Holds nothing itself; files stay
// usable until their image goes.
#pragma once

#include "cli/sim/disk_image.hpp"

namespace shoal::sim {

class SimVfs final : public storage::Vfs {
 public:
  explicit SimVfs(DiskImage& image) : image_(image) {}
  [[nodiscard]] Result<std::unique_ptr<storage::Folder>> open_folder(const std::string& path,
                                                                     Missing missing) override;

 private:
  DiskImage& image_;
};

}  // namespace shoal::sim
