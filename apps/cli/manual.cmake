# Writes the manual pages and completions that VOLT prints into the folders MAN and COMPLETION.
# usage: cmake -D VOLT=.../volt -D MAN=DIR -D COMPLETION=DIR -P manual.cmake
cmake_minimum_required(VERSION 3.18)

function(write_output file) # write_output(FILE WORD...): what 'volt help WORD...' prints
  execute_process(COMMAND ${VOLT} help ${ARGN} OUTPUT_FILE ${file} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    file(REMOVE ${file})
    message(FATAL_ERROR "volt help ${ARGN}: ${result}")
  endif()
endfunction()

# Pages of commands that no longer exist must go.
file(REMOVE_RECURSE ${MAN} ${COMPLETION})
file(MAKE_DIRECTORY ${MAN} ${COMPLETION})
execute_process(COMMAND ${VOLT} help --commands OUTPUT_VARIABLE commands RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "volt help --commands: ${result}")
endif()
string(STRIP "${commands}" commands)
string(REPLACE "\n" ";" commands "${commands}")
write_output(${MAN}/volt.1 --man)
foreach(command ${commands})
  string(REPLACE " " "-" page ${command})
  string(REPLACE " " ";" words ${command})
  write_output(${MAN}/volt-${page}.1 --man ${words})
endforeach()
write_output(${COMPLETION}/volt.bash --completion bash)
write_output(${COMPLETION}/_volt --completion zsh)
write_output(${COMPLETION}/volt.fish --completion fish)
