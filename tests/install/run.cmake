set(prefix ${scratch}/prefix)
unset(ENV{PYTHONPATH})
file(REMOVE_RECURSE ${scratch})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${build} --prefix ${prefix}
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)

# Builds the project in `source`, and runs its program `name`.
function(run name source)
  execute_process(COMMAND ${CMAKE_COMMAND} -G Ninja -S ${source} -B ${scratch}/${name}.build
      -D CMAKE_PREFIX_PATH=${prefix} -D CMAKE_CXX_COMPILER=${compiler}
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${scratch}/${name}.build
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${scratch}/${name}.build/${name}
    OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  set(output "${output}" PARENT_SCOPE)
endfunction()

run(consumer ${CMAKE_CURRENT_LIST_DIR}/consumer)

# The README's project, as it stands there.
file(READ ${CMAKE_CURRENT_LIST_DIR}/../../README.md readme)
foreach(file IN ITEMS app.cc CMakeLists.txt)
  string(FIND "${readme}" "\n`${file}`:\n\n```" begin)
  string(SUBSTRING "${readme}" ${begin} -1 block)
  string(REGEX MATCH "\n```[a-z]+\n(([^`]|`[^`])*)\n```\n" block "${block}")
  file(WRITE ${scratch}/app/${file} "${CMAKE_MATCH_1}\n")
endforeach()
run(app ${scratch}/app)
if(NOT output MATCHES "^2 from worker-[01]\n4 from worker-[01]\n6 from worker-[01]\n$")
  message(FATAL_ERROR "the README's program printed: ${output}")
endif()

# The installed program finds the installed package by itself.
execute_process(COMMAND ${prefix}/bin/dspool loadtest --workers 1 --sessions 2 --ops 2
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
