# Language, warnings and hardening: the same for every room.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # the cleanup attribute, unsigned __int128
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_SKIP_RPATH ON) # what is linked dynamically lies where the system looks

# The same source gives the same bytes wherever it is built.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)

# A compiler cache, where there is one, shared by all checkouts.
find_program(CCACHE ccache)
mark_as_advanced(CCACHE)
if(CCACHE AND NOT DEFINED CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
endif()

set(TOPICRULE_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them: address,undefined or thread")
option(TOPICRULE_FUZZ "Build the fuzz targets with libFuzzer (Clang)" OFF)
option(TOPICRULE_HARDEN "PIE, RELRO, stack protector, _FORTIFY_SOURCE" OFF)

add_library(tr_strict INTERFACE)
target_compile_definitions(tr_strict INTERFACE _GNU_SOURCE)
target_compile_options(tr_strict INTERFACE
    -Wall -Wextra -Werror -Wconversion -Wshadow -Wpointer-arith -Wcast-qual -Wwrite-strings -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition -Wundef -Wvla -Wformat=2 -Wswitch -Wimplicit-fallthrough
    -Werror=implicit-function-declaration -Werror=int-conversion -fno-common)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(tr_strict INTERFACE -Wlogical-op -Wduplicated-cond -Wduplicated-branches)
endif()

if(TOPICRULE_SANITIZE)
    add_compile_options(-fsanitize=${TOPICRULE_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${TOPICRULE_SANITIZE})
    if(TOPICRULE_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
endif()
if(TOPICRULE_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(TOPICRULE_HARDEN)
    add_compile_options(-fstack-protector-strong -fPIE)
    add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
    add_link_options(-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
    include(CheckCCompilerFlag)
    foreach(flag -fstack-clash-protection -fcf-protection)
        string(MAKE_C_IDENTIFIER "has${flag}" has)
        check_c_compiler_flag(${flag} ${has})
        if(${has})
            add_compile_options(${flag})
        endif()
    endforeach()
endif()

# tr_room(NAME [PUBLIC libs...] [PRIVATE libs...]): the library tr_NAME from every .c file of this folder. PUBLIC is what
# its headers show, PRIVATE is its own. The house rules (tools/check-house) hold each #include against this.
function(tr_room name)
    cmake_parse_arguments(room "" "" "PUBLIC;PRIVATE" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS *.c)
    add_library(tr_${name} STATIC ${sources})
    target_link_libraries(tr_${name} PUBLIC ${room_PUBLIC} PRIVATE tr_strict ${room_PRIVATE})
    tr_headers(tr_${name} PUBLIC)
endfunction()

# tr_headers(TARGET PUBLIC|INTERFACE): shows include/<room>/*.h to those who link TARGET. The test house_headers compiles
# each of them alone, with what TARGET shows and nothing else.
function(tr_headers target scope)
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS include/*.h)
    target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS include FILES ${headers})
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
endfunction()
