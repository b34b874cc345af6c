// Rows of Parquet, Arrow and Feather files as lines of JSON, and the text inside of compressed files.
//
// Scripts/setup compiles this against the Arrow C++ of the pyarrow wheel into libapus_arrow.so. Apus loads that when a
// data set needs it, so that a program without it starts and works. One function crosses the border; no type of Arrow
// does.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include <unistd.h>

#include <arrow/api.h>
#include <arrow/extension_type.h>
#include <arrow/io/api.h>
#include <arrow/ipc/feather.h>
#include <arrow/ipc/reader.h>
#include <arrow/util/compression.h>
#include <arrow/util/float16.h>
#include <arrow/util/utf8.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>

namespace {

/// What cannot be read, or not be written.
struct Fault {
    int kind;
    std::string message;
};

[[noreturn]] void refuse(std::string message) { throw Fault{1, std::move(message)}; }

void check(const arrow::Status &status) {
    if (!status.ok()) refuse(status.message());
}

template <typename Value> Value take(arrow::Result<Value> result) {
    check(result.status());
    return std::move(result).ValueUnsafe();
}

/// A file that is written in large pieces.
class Output {
public:
    explicit Output(int descriptor) : descriptor(descriptor) { text.reserve(capacity + capacity / 4); }

    std::string text;

    void flushIfFull() {
        if (text.size() >= capacity) flush();
    }

    void flush() {
        write(text.data(), text.size());
        text.clear();
    }

    void write(const char *bytes, size_t count) {
        while (count > 0) {
            ssize_t written = ::write(descriptor, bytes, count);
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) throw Fault{2, std::strerror(errno)};
            bytes += written;
            count -= size_t(written);
        }
    }

private:
    static constexpr size_t capacity = 1 << 20;
    int descriptor;
};

void appendText(std::string &out, std::string_view text) {
    static const char digits[] = "0123456789abcdef";
    out += '"';
    for (char character : text) {
        auto byte = static_cast<unsigned char>(character);
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += character;
        } else if (byte == '\n') {
            out += "\\n";
        } else if (byte < 0x20) {
            out += "\\u00";
            out += digits[byte >> 4];
            out += digits[byte & 15];
        } else {
            out += character;
        }
    }
    out += '"';
}

/// JSON has no infinities and no NaN; they are null there.
template <typename Number> void appendNumber(std::string &out, Number number) {
    if constexpr (std::is_floating_point_v<Number>) {
        if (!std::isfinite(number)) {
            out += "null";
            return;
        }
    }
    char buffer[64];
    auto end = std::to_chars(buffer, buffer + sizeof buffer, number).ptr;
    std::string_view digits(buffer, size_t(end - buffer));
    out += digits;
    // A fraction stays one: labels are classes or values by how they are written.
    if (std::is_floating_point_v<Number> && digits.find_first_of(".e") == std::string_view::npos) out += ".0";
}

/// Writes values as JSON.
class Values {
public:
    explicit Values(std::string &out) : out(out) {}

    /// Bytes that are no text, by column.
    std::map<std::string, int64_t> leftOut;
    std::string column;
    int64_t row = 0;

    void append(const arrow::Array &array, int64_t index, int depth = 0) {
        if (depth > 100) refuse("values nested deeper than 100 levels");
        if (array.IsNull(index)) {
            out += "null";
            return;
        }
        switch (array.type_id()) {
        case arrow::Type::NA: out += "null"; return;
        case arrow::Type::BOOL: out += static_cast<const arrow::BooleanArray &>(array).Value(index) ? "true" : "false"; return;
        case arrow::Type::INT8: return number<arrow::Int8Array>(array, index);
        case arrow::Type::INT16: return number<arrow::Int16Array>(array, index);
        case arrow::Type::INT32: return number<arrow::Int32Array>(array, index);
        case arrow::Type::INT64: return number<arrow::Int64Array>(array, index);
        case arrow::Type::UINT8: return number<arrow::UInt8Array>(array, index);
        case arrow::Type::UINT16: return number<arrow::UInt16Array>(array, index);
        case arrow::Type::UINT32: return number<arrow::UInt32Array>(array, index);
        case arrow::Type::UINT64: return number<arrow::UInt64Array>(array, index);
        case arrow::Type::FLOAT: return number<arrow::FloatArray>(array, index);
        case arrow::Type::DOUBLE: return number<arrow::DoubleArray>(array, index);
        case arrow::Type::HALF_FLOAT: {
            auto bits = static_cast<const arrow::HalfFloatArray &>(array).Value(index);
            return appendNumber(out, arrow::util::Float16::FromBits(bits).ToFloat());
        }
        case arrow::Type::DECIMAL32: return decimal<arrow::Decimal32Array>(array, index);
        case arrow::Type::DECIMAL64: return decimal<arrow::Decimal64Array>(array, index);
        case arrow::Type::DECIMAL128: return decimal<arrow::Decimal128Array>(array, index);
        case arrow::Type::DECIMAL256: return decimal<arrow::Decimal256Array>(array, index);
        case arrow::Type::STRING: return text(static_cast<const arrow::StringArray &>(array).GetView(index));
        case arrow::Type::LARGE_STRING: return text(static_cast<const arrow::LargeStringArray &>(array).GetView(index));
        case arrow::Type::STRING_VIEW: return text(static_cast<const arrow::StringViewArray &>(array).GetView(index));
        case arrow::Type::BINARY: return bytes(static_cast<const arrow::BinaryArray &>(array).GetView(index));
        case arrow::Type::LARGE_BINARY: return bytes(static_cast<const arrow::LargeBinaryArray &>(array).GetView(index));
        case arrow::Type::BINARY_VIEW: return bytes(static_cast<const arrow::BinaryViewArray &>(array).GetView(index));
        case arrow::Type::FIXED_SIZE_BINARY:
            return bytes(static_cast<const arrow::FixedSizeBinaryArray &>(array).GetView(index));
        case arrow::Type::LIST: return list<arrow::ListArray>(array, index, depth);
        case arrow::Type::LARGE_LIST: return list<arrow::LargeListArray>(array, index, depth);
        case arrow::Type::FIXED_SIZE_LIST: return list<arrow::FixedSizeListArray>(array, index, depth);
        case arrow::Type::LIST_VIEW: return list<arrow::ListViewArray>(array, index, depth);
        case arrow::Type::LARGE_LIST_VIEW: return list<arrow::LargeListViewArray>(array, index, depth);
        case arrow::Type::MAP: return map(static_cast<const arrow::MapArray &>(array), index, depth);
        case arrow::Type::STRUCT: return object(static_cast<const arrow::StructArray &>(array), index, depth);
        case arrow::Type::DICTIONARY: {
            auto &coded = static_cast<const arrow::DictionaryArray &>(array);
            return append(*coded.dictionary(), coded.GetValueIndex(index), depth + 1);
        }
        case arrow::Type::EXTENSION:
            return append(*static_cast<const arrow::ExtensionArray &>(array).storage(), index, depth + 1);
        case arrow::Type::SPARSE_UNION:
        case arrow::Type::DENSE_UNION: {
            auto scalar = take(array.GetScalar(index));
            auto value = static_cast<const arrow::UnionScalar &>(*scalar).child_value();
            auto single = take(arrow::MakeArrayFromScalar(*value, 1));
            return append(*single, 0, depth + 1);
        }
        case arrow::Type::RUN_END_ENCODED: {
            auto scalar = take(array.GetScalar(index));
            auto value = static_cast<const arrow::RunEndEncodedScalar &>(*scalar).value;
            auto single = take(arrow::MakeArrayFromScalar(*value, 1));
            return append(*single, 0, depth + 1);
        }
        // Dates, times, durations and intervals read as Arrow prints them: 2021-01-31 12:00:00.
        default: return appendText(out, take(array.GetScalar(index))->ToString());
        }
    }

private:
    std::string &out;

    template <typename Array> void number(const arrow::Array &array, int64_t index) {
        auto value = static_cast<const Array &>(array).Value(index);
        // Characters are numbers here.
        if constexpr (sizeof(value) == 1) appendNumber(out, int(value));
        else appendNumber(out, value);
    }

    template <typename Array> void decimal(const arrow::Array &array, int64_t index) {
        out += static_cast<const Array &>(array).FormatValue(index);
    }

    void text(std::string_view value) {
        if (!arrow::util::ValidateUTF8(value)) {
            refuse("row " + std::to_string(row + 1) + ", column \"" + column + "\": is not UTF-8");
        }
        appendText(out, value);
    }

    /// Old writers did not mark texts as such, so that bytes which are a text are one; others are left out.
    void bytes(std::string_view value) {
        if (arrow::util::ValidateUTF8(value) && value.find('\0') == std::string_view::npos) {
            appendText(out, value);
        } else {
            ++leftOut[column];
            out += "null";
        }
    }

    template <typename Array> void list(const arrow::Array &array, int64_t index, int depth) {
        auto &lists = static_cast<const Array &>(array);
        out += '[';
        for (int64_t item = 0; item < int64_t(lists.value_length(index)); ++item) {
            if (item > 0) out += ',';
            append(*lists.values(), int64_t(lists.value_offset(index)) + item, depth + 1);
        }
        out += ']';
    }

    /// An object where the keys are texts, else a list of pairs.
    void map(const arrow::MapArray &maps, int64_t index, int depth) {
        bool hasTexts = maps.keys()->type_id() == arrow::Type::STRING;
        std::unordered_set<std::string_view> seen;
        auto begin = int64_t(maps.value_offset(index)), end = begin + maps.value_length(index);
        for (int64_t item = begin; hasTexts && item < end; ++item) {
            auto &keys = static_cast<const arrow::StringArray &>(*maps.keys());
            hasTexts = keys.IsValid(item) && seen.insert(keys.GetView(item)).second;
        }
        out += hasTexts ? '{' : '[';
        for (int64_t item = begin; item < end; ++item) {
            if (item > begin) out += ',';
            if (!hasTexts) out += '[';
            append(*maps.keys(), item, depth + 1);
            out += hasTexts ? ':' : ',';
            append(*maps.items(), item, depth + 1);
            if (!hasTexts) out += ']';
        }
        out += hasTexts ? '}' : ']';
    }

    void object(const arrow::StructArray &structs, int64_t index, int depth) {
        out += '{';
        for (int member = 0; member < structs.num_fields(); ++member) {
            if (member > 0) out += ',';
            appendText(out, structs.type()->field(member)->name());
            out += ':';
            append(*structs.field(member), index, depth + 1);
        }
        out += '}';
    }
};

/// Writes rows, one a line.
class Rows {
public:
    explicit Rows(int descriptor) : output(descriptor), values(output.text) {}

    void begin(const arrow::Schema &schema) { checkNames(schema.fields(), 0); }

    void append(const arrow::RecordBatch &batch) {
        // Offsets and lengths of a damaged file lead anywhere.
        check(batch.ValidateFull());
        for (int64_t row = 0; row < batch.num_rows(); ++row, ++values.row) {
            output.text += '{';
            for (int column = 0; column < batch.num_columns(); ++column) {
                if (column > 0) output.text += ',';
                values.column = batch.column_name(column);
                appendText(output.text, values.column);
                output.text += ':';
                values.append(*batch.column(column), row);
                if (output.text.size() > (size_t(1) << 30)) refuse("a row of more than 1 GiB");
            }
            output.text += "}\n";
            output.flushIfFull();
        }
    }

    void append(arrow::RecordBatchReader &reader) {
        begin(*reader.schema());
        std::shared_ptr<arrow::RecordBatch> batch;
        while (true) {
            check(reader.ReadNext(&batch));
            if (!batch) break;
            append(*batch);
        }
    }

    /// Ends the file; what was left out, for people.
    std::string finish() {
        output.flush();
        std::string note;
        for (auto &[column, count] : values.leftOut) {
            note += (note.empty() ? "" : ", ") + std::string("\"") + column + "\" (" + std::to_string(count) + ")";
        }
        return note.empty() ? note : "values that are bytes, not text, are read as null: " + note;
    }

private:
    /// Names are keys of JSON: texts, and each there once.
    static void checkNames(const arrow::FieldVector &fields, int depth) {
        if (depth > 100) refuse("columns nested deeper than 100 levels");
        std::unordered_set<std::string> seen;
        for (auto &field : fields) {
            if (!arrow::util::ValidateUTF8(field->name())) refuse("the name of a column is not UTF-8");
            if (field->type()->id() == arrow::Type::EXTENSION || field->type()->id() == arrow::Type::DICTIONARY) continue;
            checkNames(field->type()->fields(), depth + 1);
            if (!seen.insert(field->name()).second) refuse("two columns are called \"" + field->name() + "\"");
        }
    }

    Output output;
    Values values;
};

/// At most half of the memory, so that the sizes that a damaged file names do not take it all.
///
/// It is never destroyed: a thread that reads ahead may give its buffer back after everything else is over.
arrow::MemoryPool *memory() {
    static auto &pool = *new arrow::CappedMemoryPool(
        arrow::default_memory_pool(),
        std::max<int64_t>(int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE) / 2, 1 << 30));
    return &pool;
}

std::string writeParquet(const std::string &path, int descriptor, arrow::MemoryPool *pool) {
    auto input = take(arrow::io::ReadableFile::Open(path, pool));
    parquet::arrow::FileReaderBuilder builder;
    check(builder.Open(input, parquet::ReaderProperties(pool)));
    parquet::ArrowReaderProperties properties(false);
    properties.set_batch_size(1024);
    properties.set_pre_buffer(false);
    auto file = take(builder.memory_pool(pool)->properties(properties)->Build());
    auto reader = take(file->GetRecordBatchReader());
    Rows rows(descriptor);
    rows.append(*reader);
    return rows.finish();
}

std::string writeArrow(const std::string &path, int descriptor, arrow::MemoryPool *pool) {
    auto input = take(arrow::io::ReadableFile::Open(path, pool));
    auto mark = take(input->ReadAt(0, 6))->ToString();
    check(input->Seek(0));
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.memory_pool = pool;
    options.use_threads = false;
    Rows rows(descriptor);
    if (mark == "ARROW1") {
        auto reader = take(arrow::ipc::RecordBatchFileReader::Open(input, options));
        rows.begin(*reader->schema());
        for (int index = 0; index < reader->num_record_batches(); ++index) rows.append(*take(reader->ReadRecordBatch(index)));
    } else if (mark.rfind("FEA1", 0) == 0) {
        auto reader = take(arrow::ipc::feather::Reader::Open(input, options));
        std::shared_ptr<arrow::Table> table;
        check(reader->Read(&table));
        arrow::TableBatchReader batches(*table);
        rows.append(batches);
    } else {
        rows.append(*take(arrow::ipc::RecordBatchStreamReader::Open(input, options)));
    }
    return rows.finish();
}

std::string writeDecompressed(const std::string &path, const std::string &kind, int descriptor, arrow::MemoryPool *pool) {
    auto codec = take(arrow::util::Codec::Create(take(arrow::util::Codec::GetCompressionType(kind))));
    auto raw = take(arrow::io::ReadableFile::Open(path, pool));
    auto input = take(arrow::io::CompressedInputStream::Make(codec.get(), raw, pool));
    Output output(descriptor);
    std::vector<char> buffer(1 << 20);
    while (true) {
        auto count = take(input->Read(int64_t(buffer.size()), buffer.data()));
        if (count == 0) return "";
        output.write(buffer.data(), size_t(count));
    }
}

} // namespace

extern "C" {

/// The shape of the functions here; Apus refuses another.
__attribute__((visibility("default"))) int apus_arrow_interface(void) { return 1; }

/// Writes the rows of a file as JSON lines, or the text of a compressed one, to an open file.
///
/// kind is "parquet", "arrow", or a codec: "gzip", "zstd", "bz2", "lz4". Returns 0, or 1 where the file cannot be read,
/// or 2 where the output cannot be written; message receives why, or after 0 what a user should know.
__attribute__((visibility("default"))) int apus_arrow_write_rows(
    const char *path, const char *kind, int descriptor, char *message, size_t size) {
    int result = 0;
    std::string text;
    try {
        arrow::util::InitializeUTF8();
        auto pool = memory();
        std::string name = kind;
        text = name == "parquet" ? writeParquet(path, descriptor, pool)
            : name == "arrow"    ? writeArrow(path, descriptor, pool)
                                 : writeDecompressed(path, name, descriptor, pool);
    } catch (const Fault &fault) {
        result = fault.kind;
        text = fault.message;
    } catch (const std::exception &error) {
        result = 1;
        text = error.what();
    } catch (...) {
        result = 1;
        text = "an unknown fault";
    }
    if (size > 0) {
        auto count = std::min(size - 1, text.size());
        std::memcpy(message, text.data(), count);
        message[count] = 0;
    }
    return result;
}

} // extern "C"
