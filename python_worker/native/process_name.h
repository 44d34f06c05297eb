// What others see of this process in /proc/PID/cmdline, and so in ps.
#pragma once

#include <string>
#include <vector>

namespace dspool::python {

// Writes the arguments over those that the process began with, and zeros behind them. Nothing
// happens where they are longer, or the kernel does not say where those are.
void rename_process(const std::vector<std::string>& arguments);

}  // namespace dspool::python
