# Finds the C++ interface of a MindSpore runtime. Looks in, and takes the first that has headers and library:
#   1. LITE_HOME, or else MS_LITE_HOME: a MindSpore Lite tarball, unpacked; where one is set, nowhere else
#   2. .lite of the project: a MindSpore Lite wheel, unzipped by scripts/setup_lite.sh
#   3. the mindspore package of python3: up to 2.1 it has the interface
# Sets
#   MINDSPORE_ROOT             the folder with include/api
#   MINDSPORE_LIBRARY          the library to link
#   MINDSPORE_LIBRARY_FOLDERS  where that library's own ones are looked for when the program runs
#   MINDSPORE_IS_LITE          whether it is MindSpore Lite

set(roots)
set(advice "Set LITE_HOME to a MindSpore Lite tarball, or run scripts/setup_lite.sh for a runtime on CPU.")
foreach(variable IN ITEMS LITE_HOME MS_LITE_HOME)
  if(NOT roots AND NOT "$ENV{${variable}}" STREQUAL "")
    set(roots "$ENV{${variable}}/runtime" "$ENV{${variable}}")
    set(advice "Set ${variable} to an unpacked MindSpore Lite tarball, or unset it.")
  endif()
endforeach()
if(NOT roots)
  list(APPEND roots "${CMAKE_CURRENT_SOURCE_DIR}/../.lite/mindspore_lite")
  execute_process(
    COMMAND python3 -c "import importlib.util; print(importlib.util.find_spec('mindspore').submodule_search_locations[0])"
    OUTPUT_VARIABLE package OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(package)
    list(APPEND roots "${package}")
  endif()
endif()

foreach(root IN LISTS roots)
  # Not cached: another LITE_HOME must count in a folder that was configured before.
  unset(MINDSPORE_ROOT CACHE)
  unset(MINDSPORE_LIBRARY CACHE)
  find_path(MINDSPORE_ROOT include/api/model.h PATHS "${root}" NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  find_library(MINDSPORE_LIBRARY NAMES mindspore-lite mindspore-extendrt_python mindspore
    PATHS "${root}/lib" NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  if(MINDSPORE_ROOT AND MINDSPORE_LIBRARY)
    break()
  endif()
endforeach()

if(NOT MINDSPORE_ROOT OR NOT MINDSPORE_LIBRARY)
  string(REPLACE ";" "\n  " looked "${roots}")
  message(FATAL_ERROR "no MindSpore runtime with a C++ interface found. "
    "Looked for include/api/model.h and lib/libmindspore-lite.so (or libmindspore-extendrt_python.so, libmindspore.so) in\n"
    "  ${looked}\n"
    "${advice}")
endif()

get_filename_component(name "${MINDSPORE_LIBRARY}" NAME)
get_filename_component(folder "${MINDSPORE_LIBRARY}" DIRECTORY)
set(MINDSPORE_LIBRARY_FOLDERS "${folder}")
if(name STREQUAL "libmindspore.so")
  set(MINDSPORE_IS_LITE OFF)
  # The package's library is linked with the one of the Python that the package is for.
  execute_process(
    COMMAND python3 -c "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    OUTPUT_VARIABLE python_folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(APPEND MINDSPORE_LIBRARY_FOLDERS "${python_folder}")
else()
  set(MINDSPORE_IS_LITE ON)
  # A tarball has other libraries, such as glog, elsewhere.
  file(GLOB more "${MINDSPORE_ROOT}/third_party/*" "${MINDSPORE_ROOT}/third_party/*/lib")
  list(APPEND MINDSPORE_LIBRARY_FOLDERS ${more} "${MINDSPORE_ROOT}/../tools/converter/lib")
endif()
message(STATUS "MindSpore runtime: ${MINDSPORE_LIBRARY}")
