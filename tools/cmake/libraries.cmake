# What we link, and why: docs/dependencies.md.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(icu REQUIRED IMPORTED_TARGET icu-i18n icu-uc)
pkg_check_modules(crypto REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(ssl REQUIRED IMPORTED_TARGET libssl)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(yaml REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(mosquitto REQUIRED IMPORTED_TARGET libmosquitto)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)

# librdkafka: 2.13 or later. tools/setup builds it where the system's own is older; tools/librdkafka knows where it lies.
set(rdkafka_least 2.13.0)
execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/librdkafka --have
    OUTPUT_VARIABLE rdkafka_path OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
set(pkg_config_path "$ENV{PKG_CONFIG_PATH}")
set(ENV{PKG_CONFIG_PATH} "${rdkafka_path}:${pkg_config_path}")
pkg_check_modules(rdkafka IMPORTED_TARGET rdkafka-static>=${rdkafka_least})
if(NOT rdkafka_FOUND)
    pkg_check_modules(rdkafka IMPORTED_TARGET rdkafka>=${rdkafka_least})
endif()
set(ENV{PKG_CONFIG_PATH} "${pkg_config_path}")
if(NOT rdkafka_FOUND)
    pkg_check_modules(rdkafka_system rdkafka)
    if(rdkafka_system_FOUND)
        set(found "This system's is ${rdkafka_system_VERSION}, which")
    else()
        set(found "There is none here, and Debian's")
    endif()
    message(FATAL_ERROR "librdkafka ${rdkafka_least} or later is needed. ${found} cannot log in by SCRAM to Kafka 4 (2.0) or "
        "crashes when a topic is deleted and created again (2.8). Run tools/setup: it builds one that can be relied on.")
endif()
# The static library stands in the .pc file as a path, which CMake takes for an option and puts before the objects.
get_target_property(options PkgConfig::rdkafka INTERFACE_LINK_OPTIONS)
if(options)
    set(archives ${options})
    list(FILTER archives INCLUDE REGEX "\\.a$")
    list(FILTER options EXCLUDE REGEX "\\.a$")
    get_target_property(libraries PkgConfig::rdkafka INTERFACE_LINK_LIBRARIES)
    set_target_properties(PkgConfig::rdkafka PROPERTIES
        INTERFACE_LINK_OPTIONS "${options}" INTERFACE_LINK_LIBRARIES "${archives};${libraries}")
endif()
