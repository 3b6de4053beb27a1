/* Placeholder so that the room links; goes with its first file. */
typedef int sql_room_is_empty;
