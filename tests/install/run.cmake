set(prefix ${scratch}/prefix)
set(ENV{PYTHONPATH} ${prefix}/${python_dir})
file(REMOVE_RECURSE ${scratch})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${build} --prefix ${prefix}
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)

# The README's C++ block is built and run as it stands there.
file(READ ${CMAKE_CURRENT_LIST_DIR}/../../README.md readme)
string(REGEX MATCH "```cpp\n(.*)\n```\n\nWith CMake" block "${readme}")
file(WRITE ${scratch}/readme.cc "${CMAKE_MATCH_1}\n")

execute_process(COMMAND ${CMAKE_COMMAND} -G Ninja -S ${CMAKE_CURRENT_LIST_DIR}/consumer
    -B ${scratch}/build -D readme=${scratch}/readme.cc
    -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_CXX_COMPILER=${compiler}
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${scratch}/build COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${scratch}/build/consumer COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${scratch}/build/readme OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
if(NOT output MATCHES "^2 from worker-[01]\n4 from worker-[01]\n6 from worker-[01]\n$")
  message(FATAL_ERROR "the README's program printed: ${output}")
endif()
