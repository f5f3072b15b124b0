// The catalog where a single statement fails, or a row says what cannot be: whatever it is, the error is
// named, nothing of the transaction stays, and once the cause is gone the same call succeeds.
#include <functional>

#include <gtest/gtest.h>

#include "catalog_fixture.hpp"
#include "storage/catalog.hpp"
#include "storage/sqlite.hpp"

namespace shoal::storage {
namespace {

using fixture::plain_content;
using fixture::record_of;
using fixture::save_sequence;

constexpr std::uint32_t touched_piece = 5;

class CatalogStatements : public fixture::CatalogTest {
 protected:
  void SetUp() override {
    CatalogTest::SetUp();
    record_.layers = {Bytes(64, 1), {}};
    record_.disk_paths = {"", "elsewhere"};
    old_record_ = record_of(old_);
    old_record_.role = ContentRole::share;
    ASSERT_TRUE(catalog_->store_share(key_, {}, old_record_));
    ASSERT_TRUE(catalog_->store(record_));
    ASSERT_TRUE(catalog_->commit(*content_, {{&first_, 1}, finished_, 1, 2}));
    ASSERT_TRUE(catalog_->mark_touched(content_->id, {&touched_piece, 1}));
    ASSERT_TRUE(catalog_->save_value("k", as_bytes("v")));
    ASSERT_TRUE(catalog_->save_identity({}));
    ASSERT_TRUE(save_sequence(*catalog_, content_->id, 7));
    ASSERT_TRUE(catalog_->save_contacts("o", contacts_));
    catalog_.reset();
    {
      // What refuses a commit: a row that is owed one of another table until then.
      auto opened = sqlite::Database::open(path_, {}, 0);
      ASSERT_TRUE(opened);
      ASSERT_TRUE((*opened)->execute(
          "CREATE TABLE owed(x INTEGER REFERENCES contents(number) DEFERRABLE INITIALLY DEFERRED)"));
    }
    std::filesystem::copy_file(path_, temp_.path("pristine"));
    restore();
  }

  struct Write {
    const char* name;
    std::function<Result<void>()> run;
  };
  std::vector<Write> writes() {
    static const std::vector<std::uint32_t> pieces{first_, touched_piece};
    static const std::vector<ForgottenFile> forgotten{{0, FileRecord::Progress::changed}};
    static const std::vector<std::pair<std::uint32_t, Bytes>> layers{{1, Bytes(32, 2)}};
    return {{"save_value", [&] { return catalog_->save_value("k", as_bytes("new")); }},
            {"save_identity", [&] { return catalog_->save_identity({{}, 9}); }},
            {"save_sequences", [&] { return save_sequence(*catalog_, content_->id, 8); }},
            {"save_contacts", [&] { return catalog_->save_contacts("o", contacts_); }},
            {"store", [&] { return catalog_->store(whole()); }},
            {"store_share", [&] { return catalog_->store_share(key_, {}, record_); }},
            {"save_layers", [&] { return catalog_->save_layers(content_->id, layers); }},
            {"mark_touched", [&] { return catalog_->mark_touched(content_->id, {&first_, 1}); }},
            {"commit", [&] { return catalog_->commit(*content_, {pieces, finished_, 10, 20}); }},
            {"forget", [&] { return catalog_->forget(*content_, forgotten); }},
            {"save_totals", [&] { return catalog_->save_totals(content_->id, 50, 60); }},
            {"remove", [&] { return catalog_->remove(content_->id); }}};
  }
  ContentRecord whole() {
    ContentRecord out = record_;
    out.have = ContentRecord::Have::all;
    out.stamps = {FileStamp{1, 2, 3}, FileStamp{4, 5, 6}};
    return out;
  }
  // All that stands in the tables, as one number a table.
  std::vector<std::int64_t> picture() {
    std::vector<std::int64_t> out;
    for (const char* sql :
         {"SELECT sum(unicode(hex(value)) + length(value)) FROM settings",
          "SELECT sum(number + role + pieces + files + 3 * uploaded + 7 * downloaded) FROM contents",
          "SELECT sum(length(info)) FROM infos", "SELECT sum(length(layer) + 1000 * file) FROM layers",
          "SELECT sum(progress + 10 * size + 100 * inode + length(disk_path)) FROM files",
          "SELECT sum(unicode(substr(hex(bits), 1, 1)) * 256 + unicode(substr(hex(bits), 2, 1))) FROM have",
          "SELECT sum(piece + 1000) FROM touched", "SELECT sum(content) FROM shares",
          "SELECT sum(last_seen_ms) FROM contacts", "SELECT sum(sequence) FROM sequences",
          "SELECT count(*) FROM owed"}) {
      const auto value = other_->integer(sql);
      EXPECT_TRUE(value) << sql;
      out.push_back(value.value_or(-1));
    }
    return out;
  }
  // As SetUp left it.
  void restore() {
    other_.reset();
    catalog_.reset();
    std::filesystem::copy_file(temp_.path("pristine"), path_,
                               std::filesystem::copy_options::overwrite_existing);
    reopen();
    auto opened = sqlite::Database::open(path_, {}, 0);
    ASSERT_TRUE(opened);
    other_ = std::move(*opened);
    ASSERT_TRUE(other_->execute("PRAGMA foreign_keys=ON"));
  }
  // Runs each writing call under a sabotage; how many failed.
  int sabotaged(const std::string& hurt, const std::string& heal) {
    SCOPED_TRACE(hurt);
    restore();
    int failed = 0;
    EXPECT_TRUE(other_->execute(hurt.c_str()));
    for (const Write& write : writes()) {
      const bool readable = hurt.starts_with("CREATE");
      const auto before = readable ? picture() : std::vector<std::int64_t>{};
      const auto done = write.run();
      if (done) continue;
      ++failed;
      EXPECT_NE(std::string_view{done.error().rule}, "") << write.name;
      if (readable) {
        EXPECT_EQ(picture(), before) << write.name;
      }
    }
    EXPECT_TRUE(other_->execute(heal.c_str()));
    for (const Write& write : writes()) EXPECT_TRUE(write.run()) << write.name;
    return failed;
  }

  ContentPtr content_ = plain_content(16, 1, 2), old_ = plain_content(8, 2);
  ContentRecord record_ = record_of(content_), old_record_;
  ShareKey key_{};
  std::uint32_t first_ = 0;
  std::vector<std::pair<std::uint32_t, FileStamp>> finished_{{0, {131'072, 1, 2}}};
  std::vector<StoredContact> contacts_{{Bytes(6, 1), 5}};
  std::unique_ptr<sqlite::Database> other_;
};

const std::vector<const char*> tables{"settings", "contents", "infos",  "layers",   "files",
                                      "have",     "touched",  "shares", "contacts", "sequences"};

TEST_F(CatalogStatements, NothingStaysOfWhatFailsAtARowOrAtTheCommit) {
  for (const auto& [when, what] : {std::pair{"BEFORE", "SELECT RAISE(ABORT, 'no')"},
                                   std::pair{"AFTER", "INSERT INTO owed VALUES(-1)"}}) {
    int failed = 0;
    for (const std::string table : tables)
      for (const std::string event : {"INSERT", "UPDATE", "DELETE"})
        failed += sabotaged(std::string{"CREATE TRIGGER t "} + when + " " + event + " ON " + table +
                                " BEGIN " + what + "; END",
                            "DROP TRIGGER t");
    EXPECT_GE(failed, 25) << when;
  }
}

TEST_F(CatalogStatements, NothingStaysWhereATableIsMissing) {
  int failed = 0;
  for (const std::string table : tables)
    failed += sabotaged("ALTER TABLE " + table + " RENAME TO gone", "ALTER TABLE gone RENAME TO " + table);
  EXPECT_GE(failed, 20);
}

TEST_F(CatalogStatements, WhoeverWritesMeanwhileMakesItBusy) {
  catalog_ = fixture::open_catalog(path_, 0);
  for (const Write& write : writes()) {
    {
      sqlite::Transaction held{*other_, sqlite::Durability::relaxed};
      ASSERT_TRUE(held.begun());
      const auto done = write.run();
      ASSERT_FALSE(done) << write.name;
      EXPECT_EQ(done.error().code, Code::busy) << write.name;
      sqlite::Transaction second{*other_, sqlite::Durability::relaxed};  // within another there is none
      EXPECT_FALSE(second.begun());
      EXPECT_FALSE(second.commit());
    }
    EXPECT_TRUE(write.run()) << write.name;
  }
}

// Each reading call under each missing table: it says so, or needs it not.
TEST_F(CatalogStatements, WhatCannotBeReadIsNamed) {
  const std::vector<std::pair<const char*, std::function<bool()>>> reads{
      {"settings", [&] { return catalog_->value("k").has_value(); }},
      {"settings", [&] { return catalog_->identity().has_value(); }},
      {"sequences", [&] { return catalog_->sequence(content_->id).has_value(); }},
      {"sequences", [&] { return catalog_->load(content_->id).has_value(); }},
      {"shares", [&] { return catalog_->share(key_).has_value(); }},
      {"contents", [&] { return catalog_->share(key_).has_value(); }},
      {"contacts", [&] { return catalog_->contacts("o").has_value(); }},
      {"contents", [&] { return catalog_->contents().has_value(); }},
      {"contents", [&] { return catalog_->kept_as(content_->id).has_value(); }},
      {"contents", [&] { return catalog_->find(content_->id).has_value(); }},
      {"have", [&] { return catalog_->find(content_->id).has_value(); }},
      {"touched", [&] { return catalog_->find(content_->id).has_value(); }},
      {"files", [&] { return catalog_->load(content_->id).has_value(); }},
      {"infos", [&] { return catalog_->load(content_->id).has_value(); }},
      {"layers", [&] { return catalog_->load(content_->id).has_value(); }}};
  for (const auto& [table, read] : reads) {
    EXPECT_TRUE(read()) << table;
    const std::string name = table;
    ASSERT_TRUE(other_->execute(("ALTER TABLE " + name + " RENAME TO gone").c_str()));
    EXPECT_FALSE(read()) << table;
    ASSERT_TRUE(other_->execute(("ALTER TABLE gone RENAME TO " + name).c_str()));
    EXPECT_TRUE(read()) << table;
  }
}

// Nothing is guessed of a row that makes no sense: a false have-bit would serve wrong bytes.
TEST_F(CatalogStatements, RowsThatMakeNoSenseAreDamage) {
  const ContentId id = content_->id;
  const auto code = [](const auto& result) { return result ? Code::exists : result.error().code; };
  const auto found = [&] { return code(catalog_->find(id)); };
  const auto loaded = [&] { return code(catalog_->load(id)); };
  const std::vector<std::pair<std::string, std::function<Code()>>> rows{
      {"UPDATE contents SET pieces=-1", found},
      {"UPDATE contents SET pieces=2097153", found},
      {"UPDATE contents SET files=-1", found},
      {"UPDATE contents SET files=1000001", found},
      {"UPDATE contents SET files=1", found},  // its files have rows
      {"UPDATE have SET bits=x'ffffff'", found},
      {"UPDATE have SET bits=x'ff'", found},
      {"UPDATE contents SET pieces=15; UPDATE have SET bits=x'0001'", found},  // a spare bit
      {"UPDATE have SET page=-1", found},
      {"UPDATE touched SET piece=-1", found},
      {"UPDATE touched SET piece=16", found},
      {"UPDATE files SET progress=3", found},
      {"UPDATE files SET progress=-1", found},
      {"UPDATE files SET file=-1 WHERE file=0", found},
      {"UPDATE files SET file=2 WHERE file=0", found},
      {"UPDATE layers SET file=-1", loaded},
      {"UPDATE layers SET file=2", loaded},
      {"UPDATE have SET bits=x'ff'",
       [&] { return code(catalog_->commit(*content_, {{&first_, 1}, {}, 0, 0})); }},
      {"UPDATE contents SET id=x'01' WHERE number=2", [&] { return code(catalog_->contents()); }},
      {"UPDATE contents SET id=zeroblob(20) WHERE number=2", [&] { return code(catalog_->kept_as({})); }},
      {"UPDATE settings SET value=x'01'", [&] { return code(catalog_->identity()); }},
      {"UPDATE shares SET salt=x'01'", [&] { return code(catalog_->share(key_)); }},
      {"UPDATE contents SET id=x'01' WHERE number=1", [&] { return code(catalog_->share(key_)); }}};
  for (const auto& [hurt, read] : rows) {
    restore();
    ASSERT_TRUE(other_->execute(hurt.c_str())) << hurt;
    EXPECT_EQ(read(), Code::malformed) << hurt;
  }
}

TEST_F(CatalogStatements, WhatWasRemovedMeanwhileIsNotThere) {
  ASSERT_TRUE(other_->execute("DELETE FROM infos"));
  const auto loaded = catalog_->load(content_->id);
  ASSERT_TRUE(loaded);
  EXPECT_FALSE(*loaded);
  EXPECT_EQ(*catalog_->kept_as(plain_content(1, 9)->id), plain_content(1, 9)->id);
  const std::vector<ForgottenFile> forgotten{{0, FileRecord::Progress::open}};
  EXPECT_TRUE(catalog_->forget(*plain_content(1, 9), forgotten));
  EXPECT_TRUE(catalog_->remove(old_->id));
  const auto share = catalog_->share(key_);
  ASSERT_TRUE(share && *share);
  EXPECT_FALSE((*share)->content);
}

}  // namespace
}  // namespace shoal::storage
