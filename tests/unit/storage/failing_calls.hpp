// System calls of this program that fail as a rare disk or kernel lets them. What stands in failing_calls.cpp
// is linked in place of the C library's, and passes on what is not to fail.
#pragma once

#include <functional>
#include <string_view>

namespace shoal::storage::fixture {

// While it exists, calls of that name by this thread fail, or take nothing: `skip` of them pass, then `times`
// fail with `os_errno`. One at a time a name.
class FailingCall {
 public:
  FailingCall(std::string_view name, int os_errno, int times = 1, int skip = 0);
  // Instead, `meanwhile` happens once, just before one call, which does what it should.
  FailingCall(std::string_view name, std::function<void()> meanwhile, int skip = 0);
  ~FailingCall();
  FailingCall(const FailingCall&) = delete;
  FailingCall& operator=(const FailingCall&) = delete;
  [[nodiscard]] int failed() const { return failed_; }  // so many did, or had something happen before them

  // For the calls: the errno with which this one fails, 0 where it is passed on.
  [[nodiscard]] static int next(std::string_view name);

 private:
  std::string_view name_;
  int os_errno_, times_, skip_, failed_ = 0;
  std::function<void()> meanwhile_;
  FailingCall* outer_;
};

}  // namespace shoal::storage::fixture
