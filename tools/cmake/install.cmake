# What `cmake --install` puts where. With -DCMAKE_INSTALL_PREFIX=/usr it is Debian's layout.
include(GNUInstallDirs)

install(TARGETS topicrule RUNTIME)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The unit names the program by its full path.
file(READ packaging/topicrule.service unit)
string(REPLACE "/usr/bin/topicrule" "${CMAKE_INSTALL_FULL_BINDIR}/topicrule" unit "${unit}")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/packaging/topicrule.service CONTENT "${unit}" @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/packaging/topicrule.service DESTINATION lib/systemd/system)

if(EXISTS ${PROJECT_SOURCE_DIR}/packaging/topicrule.yaml)
    # What an administrator has written stays; the one that is shipped lies beside the documents as well.
    install(FILES packaging/topicrule.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR})
    install(CODE "
        set(folder \"\$ENV{DESTDIR}${CMAKE_INSTALL_FULL_SYSCONFDIR}/topicrule\")
        file(MAKE_DIRECTORY \"\${folder}/rules.d\")
        if(NOT EXISTS \"\${folder}/topicrule.yaml\")
            file(COPY \"${PROJECT_SOURCE_DIR}/packaging/topicrule.yaml\" DESTINATION \"\${folder}\")
        endif()")
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/rules/examples)
    install(DIRECTORY rules/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()

file(GLOB manuals CONFIGURE_DEPENDS docs/man/*.1)
install(FILES ${manuals} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
