#pragma once

#include <string>
#include <string_view>

namespace infer {

// Returns text that comes from outside, such as a file name, for a line on a terminal: what would begin a new line, move
// the cursor or turn the order of letters, and bytes that are no UTF-8, stand as \n, \x1b or \u202e.
std::string Printable(std::string_view text);

}  // namespace infer
