// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes the file form of a compiled kernel apart (saccade/Blob.h). A blob may
// come from a disk that lost half of it, so nothing is believed before it is
// checked.
#include "runtime/Manifest.h"

using namespace saccade::rt;

namespace {
uint64_t load(std::string_view bytes, size_t offset, int width) {
  uint64_t value = 0;
  for (int i = 0; i < width; ++i)
    value |= uint64_t(static_cast<unsigned char>(bytes[offset + i])) << (8 * i);
  return value;
}

template <typename... Parts> Status bad(const Parts &...parts) {
  return fail(SACCADE_BAD_BLOB, "blob: ", parts...);
}
} // namespace

Status saccade::rt::readBlob(std::string_view blob, BlobView &view) {
  constexpr size_t header = SACCADE_BLOB_HEADER_BYTES;
  if (blob.size() < header)
    return bad("expects at least ", header, " bytes, but got ", blob.size());
  if (blob.substr(0, 8) != SACCADE_BLOB_MAGIC)
    return bad("expects the magic bytes of a compiled kernel");
  uint64_t version = load(blob, 8, 4);
  if (version != SACCADE_ABI_VERSION)
    return bad("expects ABI version ", SACCADE_ABI_VERSION, ", but got ",
               version);
  uint64_t size = load(blob, 16, 8);
  if (size != blob.size())
    return bad("expects ", size, " bytes, but got ", blob.size());
  if (load(blob, SACCADE_BLOB_CHECKSUM_OFFSET, 8) != blobChecksum(blob))
    return bad("expects the checksum of its contents, but they have changed");

  uint64_t sections = load(blob, 12, 4);
  uint64_t manifest = load(blob, 32, 8);
  if (sections > (size - header) / 16 ||
      manifest > size - header - 16 * sections)
    return bad("expects manifest and sections inside its ", size, " bytes");
  view.manifest = blob.substr(header + 16 * sections, manifest);
  view.sections.clear();
  for (uint64_t i = 0; i < sections; ++i) {
    uint64_t offset = load(blob, header + 16 * i, 8);
    uint64_t bytes = load(blob, header + 16 * i + 8, 8);
    // One byte more: the zero that ends it.
    if (offset >= size || bytes >= size - offset || blob[offset + bytes] != 0)
      return bad("expects section ", i, " and a zero byte inside its ", size,
                 " bytes");
    view.sections.push_back(blob.substr(offset, bytes));
  }
  return SACCADE_OK;
}
