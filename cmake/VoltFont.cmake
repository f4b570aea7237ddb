# The font of pictures as C, so that no font needs to be installed: volt_font and volt_font_bytes.
set(volt_font_file ${PROJECT_SOURCE_DIR}/show/fonts/dejavu-sans.ttf)
set(volt_font_source ${PROJECT_BINARY_DIR}/volt_font.c)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${volt_font_file})
file(READ ${volt_font_file} volt_font_hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," volt_font_hex "${volt_font_hex}")
set(volt_font_text "#include <stddef.h>
#include \"show/pictures/text.h\"

const unsigned char volt_font[] = {
${volt_font_hex}
};
const size_t volt_font_bytes = sizeof volt_font;
")
# Only a changed font makes the file newer.
file(GENERATE OUTPUT ${volt_font_source} CONTENT "${volt_font_text}")
