// The catalog: what is stored comes back, over restarts.
#include "storage/catalog.hpp"

#include <gtest/gtest.h>

#include "catalog_fixture.hpp"

namespace shoal::storage {
namespace {

using fixture::CatalogTest;
using fixture::plain_content;
using fixture::record_of;
using fixture::save_sequence;

TEST_F(CatalogTest, AContentIsFoundByEveryIdItHas) {
  const auto made = fixture::make({{"a", fixture::pattern(20000)}}, block_bytes, Format::hybrid);
  const auto alone = fixture::make({{"b", fixture::pattern(20000)}}, block_bytes, Format::v1);
  for (const auto& content : {made.content, alone.content}) ASSERT_TRUE(catalog_->store(record_of(content)));
  const Content& hybrid = *made.content;
  const ContentId cut = id_of_v1(to_array<20>(ByteView{hybrid.id}.first(20)));
  for (const ContentId& name : {hybrid.id, id_of_v1(*hybrid.v1), cut}) {
    EXPECT_TRUE(hybrid.is(name) && is_info_of(name, hybrid.info));
    EXPECT_EQ(*catalog_->kept_as(name), hybrid.id);
  }
  EXPECT_EQ(*catalog_->kept_as(alone.content->id), alone.content->id);
  EXPECT_FALSE(hybrid.is(alone.content->id) || is_info_of(alone.content->id, hybrid.info));
  ContentId unknown{};
  unknown[0] = 9;
  EXPECT_EQ(*catalog_->kept_as(unknown), unknown);
  EXPECT_EQ(*catalog_->kept_as(sha256({})), sha256({}));
}

TEST_F(CatalogTest, IdentityAndSettings) {
  EXPECT_EQ(*catalog_->value("x"), std::nullopt);
  EXPECT_FALSE(catalog_->identity()->has_value());
  Identity identity;
  identity.seed[3] = 9;
  identity.port = 40'000;
  ASSERT_TRUE(catalog_->save_identity(identity));
  ASSERT_TRUE(catalog_->save_value("x", as_bytes(std::string_view("a\0b", 3))));
  ASSERT_TRUE(catalog_->save_value("empty", {}));
  reopen();
  const auto kept = catalog_->identity();
  ASSERT_TRUE(kept && kept->has_value());
  EXPECT_EQ((*kept)->seed, identity.seed);
  EXPECT_EQ((*kept)->port, 40'000);
  EXPECT_EQ(as_text(**catalog_->value("x")), std::string_view("a\0b", 3));
  EXPECT_EQ(catalog_->value("empty")->value().size(), 0U);
  ASSERT_TRUE(catalog_->save_value("x", as_bytes("new")));
  EXPECT_EQ(as_text(**catalog_->value("x")), "new");
}

TEST_F(CatalogTest, AContentComesBackAsItWas) {
  const ContentPtr content = plain_content(20, 1, 3);
  EXPECT_EQ(*catalog_->find(content->id), std::nullopt);
  EXPECT_FALSE(catalog_->load(content->id)->has_value());
  ContentRecord record = record_of(content);
  record.folder = "/raw/\xff\xfe";
  record.layers = {Bytes(64, 1), {}, Bytes(32, 3)};
  ASSERT_TRUE(catalog_->store(record));
  const std::vector<std::uint32_t> touched{7, 3, 3, 19};
  ASSERT_TRUE(catalog_->mark_touched(content->id, touched));
  ASSERT_TRUE(catalog_->mark_touched(content->id, touched));
  const std::vector<std::uint32_t> pieces{3, 0, 1};
  const std::vector<std::pair<std::uint32_t, FileStamp>> finished{{0, {98'304, -5, ~std::uint64_t{0}}}};
  ASSERT_TRUE(catalog_->commit(*content, {pieces, finished, 10, 20}));
  ASSERT_TRUE(catalog_->save_totals(content->id, 5, 25));  // totals never fall
  ASSERT_TRUE(save_sequence(*catalog_, content->id, 1000));
  ASSERT_TRUE(save_sequence(*catalog_, content->id, 999));  // nor does the sequence
  const std::vector<std::pair<std::uint32_t, Bytes>> layers{
      {1, Bytes(96, 2)}, {0, Bytes(64, 1)}, {99, Bytes(1)}};
  ASSERT_TRUE(catalog_->save_layers(content->id, layers));
  reopen();
  const auto loaded = catalog_->load(content->id);
  ASSERT_TRUE(loaded && loaded->has_value());
  const StoredContent& stored = **loaded;
  EXPECT_EQ(stored.info, content->info);
  EXPECT_EQ(stored.folder, record.folder);
  EXPECT_EQ(stored.root_name, "name");
  EXPECT_EQ(stored.layers, (std::vector<Bytes>{Bytes(64, 1), Bytes(96, 2), Bytes(32, 3)}));
  EXPECT_EQ(stored.touched, (std::vector<std::uint32_t>{7, 19}));
  EXPECT_EQ(stored.have.count(), 3U);
  EXPECT_TRUE(stored.have.test(0) && stored.have.test(1) && stored.have.test(3));
  EXPECT_EQ(stored.uploaded, 10U);
  EXPECT_EQ(stored.downloaded, 25U);
  EXPECT_EQ(stored.record_sequence, 1000U);
  const auto found = catalog_->find(content->id);
  ASSERT_TRUE(found && found->has_value());
  EXPECT_EQ((*found)->role, ContentRole::download);
  EXPECT_EQ((*found)->files[0].progress, FileRecord::Progress::finished);
  EXPECT_EQ((*found)->files[0].stamp, finished[0].second);
  EXPECT_EQ((*found)->files[1].progress, FileRecord::Progress::open);
  EXPECT_FALSE((*found)->has_disk_paths());
  EXPECT_EQ(*catalog_->contents(), std::vector<ContentId>{content->id});
  ASSERT_TRUE(catalog_->remove(content->id));
  EXPECT_TRUE(catalog_->contents()->empty());
  EXPECT_EQ(*catalog_->sequence(content->id), 1000U);  // outlives it
}

TEST_F(CatalogTest, WhatIsNotThereIsLeftAlone) {
  const ContentPtr content = plain_content(8, 1);
  const std::vector<std::uint32_t> pieces{1};
  EXPECT_TRUE(catalog_->mark_touched(content->id, pieces));
  EXPECT_TRUE(catalog_->commit(*content, {pieces, {}, 1, 1}));
  EXPECT_TRUE(catalog_->save_totals(content->id, 1, 1));
  EXPECT_TRUE(catalog_->remove(content->id));
  EXPECT_TRUE(catalog_->contents()->empty());
  EXPECT_EQ(*catalog_->sequence(content->id), 0U);
  EXPECT_FALSE(catalog_->share({})->has_value());
}

// Pages hold 8,192 pieces; the last is short.
TEST_F(CatalogTest, HaveBitsOverPageBorders) {
  for (const std::uint32_t pieces : {1U, 7U, 8U, 9U, 8'191U, 8'192U, 8'193U, 16'384U, 40'001U}) {
    const ContentPtr content = plain_content(pieces, static_cast<std::uint8_t>(pieces % 251), 1);
    ASSERT_TRUE(catalog_->store(record_of(content)));
    Bitfield expected{pieces};
    std::vector<std::uint32_t> some;
    for (const std::uint32_t piece :
         {0U, 7U, 8U, 8'190U, 8'191U, 8'192U, 8'193U, 16'383U, 16'384U, 40'000U, pieces - 1})
      if (piece < pieces && expected.set(piece)) some.push_back(piece);
    ASSERT_TRUE(catalog_->commit(*content, {some, {}, 0, 0}));
    EXPECT_EQ((*catalog_->find(content->id))->have, expected) << pieces;
    // All, then none.
    std::vector<std::uint32_t> all;
    for (std::uint32_t i = 0; i < pieces; ++i) all.push_back(pieces - 1 - i);
    ASSERT_TRUE(catalog_->commit(*content, {all, {}, 0, 0}));
    EXPECT_TRUE((*catalog_->find(content->id))->have.all()) << pieces;
    const ForgottenFile forgotten{0, FileRecord::Progress::changed};
    ASSERT_TRUE(catalog_->forget(*content, {&forgotten, 1}));
    EXPECT_TRUE((*catalog_->find(content->id))->have.none()) << pieces;
  }
}

TEST_F(CatalogTest, ForgettingAFileLeavesItsNeighbours) {
  const ContentPtr content = plain_content(30, 1, 3);
  ContentRecord record = record_of(content);
  record.have = ContentRecord::Have::all;
  record.stamps = {{1, 1, 1}, {2, 2, 2}, {3, 3, 3}};
  record.disk_paths = {"", "elsewhere/x", ""};
  ASSERT_TRUE(catalog_->store(record));
  const std::vector<std::uint32_t> touched{9, 10, 19, 20};
  ASSERT_TRUE(catalog_->mark_touched(content->id, touched));
  const ForgottenFile forgotten{1, FileRecord::Progress::changed};
  ASSERT_TRUE(catalog_->forget(*content, {&forgotten, 1}));
  const auto found = *catalog_->find(content->id);
  for (std::uint32_t i = 0; i < 30; ++i) EXPECT_EQ(found->have.test(i), i < 10 || i >= 20) << i;
  EXPECT_EQ(found->touched, (std::vector<std::uint32_t>{9, 20}));
  EXPECT_EQ(found->files[1].progress, FileRecord::Progress::changed);
  EXPECT_EQ(found->files[1].disk_path, "elsewhere/x");
  EXPECT_EQ(found->files[2].progress, FileRecord::Progress::finished);
  EXPECT_EQ(found->stamps()[1], FileStamp{});
  EXPECT_EQ(found->stamps()[2], (FileStamp{3, 3, 3}));
  EXPECT_TRUE(found->has_disk_paths());
}

TEST_F(CatalogTest, StoringAgainReplacesAllButTotalsAndSequence) {
  const ContentPtr content = plain_content(10, 1);
  ContentRecord record = record_of(content);
  record.have = ContentRecord::Have::all;
  record.stamps = {{1, 1, 1}};
  record.layers = {Bytes(32, 1)};
  ASSERT_TRUE(catalog_->store(record));
  ASSERT_TRUE(catalog_->save_totals(content->id, 7, 8));
  ASSERT_TRUE(save_sequence(*catalog_, content->id, 9));
  ContentRecord fresh = record_of(content);
  fresh.folder = "/other";
  ASSERT_TRUE(catalog_->store(fresh));
  const auto stored = *catalog_->load(content->id);
  EXPECT_EQ(stored->folder, "/other");
  EXPECT_TRUE(stored->have.none());
  EXPECT_TRUE(stored->layers[0].empty());
  EXPECT_EQ(stored->uploaded, 7U);
  EXPECT_EQ(stored->record_sequence, 9U);
  EXPECT_EQ((*catalog_->find(content->id))->files[0].progress, FileRecord::Progress::open);
}

TEST_F(CatalogTest, SharesKeepTheirSalt) {
  const std::vector<std::string> paths{"/a/b"}, joined{"/a", "b"};
  const ShareKey key = share_key(paths, "", ShareKind::sealed);
  EXPECT_NE(key, share_key(paths, "", ShareKind::open));
  EXPECT_NE(key, share_key(paths, "name", ShareKind::sealed));
  EXPECT_NE(key, share_key(joined, "", ShareKind::sealed));
  const ByteArray<32> salt{1, 2, 3};
  const ContentPtr first = plain_content(4, 1), second = plain_content(4, 2);
  ContentRecord record = record_of(first);
  record.role = ContentRole::share;
  record.have = ContentRecord::Have::all;
  ASSERT_TRUE(catalog_->store_share(key, salt, record));
  const ShareKey other_key = share_key(paths, "name", ShareKind::sealed);
  reopen();
  auto share = *catalog_->share(key);
  ASSERT_TRUE(share);
  EXPECT_EQ(share->salt, salt);
  EXPECT_EQ(share->content, first->id);
  EXPECT_TRUE((*catalog_->find(first->id))->have.all());
  // The files changed: another content, the old one goes.
  record.content = second;
  ASSERT_TRUE(catalog_->store_share(key, salt, record));
  EXPECT_EQ((*catalog_->share(key))->content, second->id);
  EXPECT_EQ(*catalog_->contents(), std::vector<ContentId>{second->id});
  // Shared under a second name: it stays when the first moves on.
  ASSERT_TRUE(catalog_->store_share(other_key, salt, record));
  record.content = first;
  ASSERT_TRUE(catalog_->store_share(key, salt, record));
  EXPECT_EQ(catalog_->contents()->size(), 2U);
  // A content that is removed leaves its salt.
  ASSERT_TRUE(catalog_->remove(first->id));
  EXPECT_EQ((*catalog_->share(key))->content, std::nullopt);
  EXPECT_EQ((*catalog_->share(key))->salt, salt);
}

TEST_F(CatalogTest, ContactsAreReplacedPerOverlay) {
  std::vector<StoredContact> contacts(3);
  for (std::size_t i = 0; i < contacts.size(); ++i) {
    contacts[i].endpoint = Bytes(6, static_cast<std::uint8_t>(i));
    contacts[i].last_seen_ms = static_cast<std::int64_t>(i) - 1;
  }
  ASSERT_TRUE(catalog_->save_contacts("native4", contacts));
  ASSERT_TRUE(catalog_->save_contacts("native6", std::span{contacts}.first(1)));
  ASSERT_TRUE(catalog_->save_contacts("native4", std::span{contacts}.last(2)));
  reopen();
  const auto kept = catalog_->contacts("native4");
  ASSERT_TRUE(kept);
  ASSERT_EQ(kept->size(), 2U);
  EXPECT_EQ((*kept)[0].endpoint, contacts[1].endpoint);
  EXPECT_EQ((*kept)[1].endpoint, contacts[2].endpoint);
  EXPECT_EQ((*kept)[1].last_seen_ms, 1);
  EXPECT_EQ(catalog_->contacts("native6")->size(), 1U);
  EXPECT_TRUE(catalog_->contacts("mainline4")->empty());
}

TEST_F(CatalogTest, SequencesAreSavedTogether) {
  const auto one = plain_content(3, 1), two = plain_content(3, 2);
  const std::vector<std::pair<ContentId, std::uint64_t>> sequences{{one->id, 5}, {two->id, 6}, {one->id, 4}};
  ASSERT_TRUE(catalog_->save_sequences(sequences));
  reopen();
  EXPECT_EQ(*catalog_->sequence(one->id), 5U);
  EXPECT_EQ(*catalog_->sequence(two->id), 6U);
  ASSERT_TRUE(catalog_->save_sequences({}));
}

}  // namespace
}  // namespace shoal::storage
