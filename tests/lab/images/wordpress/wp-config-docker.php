<?php
// WordPress' settings from the environment: WORDPRESS_NAME, or the content of the file that WORDPRESS_NAME_FILE names.
if ( ! function_exists( 'from_environment' ) ) {
	function from_environment( $name, $default ) {
		$file = getenv( "WORDPRESS_{$name}_FILE" );
		if ( $file ) {
			return rtrim( file_get_contents( $file ), "\r\n" );
		}
		$value = getenv( "WORDPRESS_{$name}" );
		return false === $value ? $default : $value;
	}
}

define( 'DB_HOST', from_environment( 'DB_HOST', 'mysql' ) );
define( 'DB_NAME', from_environment( 'DB_NAME', 'wordpress' ) );
define( 'DB_USER', from_environment( 'DB_USER', '' ) );
define( 'DB_PASSWORD', from_environment( 'DB_PASSWORD', '' ) );
define( 'DB_CHARSET', from_environment( 'DB_CHARSET', 'utf8mb4' ) );
define( 'DB_COLLATE', from_environment( 'DB_COLLATE', '' ) );
define( 'AUTH_KEY', from_environment( 'AUTH_KEY', 'put your unique phrase here' ) );
define( 'SECURE_AUTH_KEY', from_environment( 'SECURE_AUTH_KEY', 'put your unique phrase here' ) );
define( 'LOGGED_IN_KEY', from_environment( 'LOGGED_IN_KEY', 'put your unique phrase here' ) );
define( 'NONCE_KEY', from_environment( 'NONCE_KEY', 'put your unique phrase here' ) );
define( 'AUTH_SALT', from_environment( 'AUTH_SALT', 'put your unique phrase here' ) );
define( 'SECURE_AUTH_SALT', from_environment( 'SECURE_AUTH_SALT', 'put your unique phrase here' ) );
define( 'LOGGED_IN_SALT', from_environment( 'LOGGED_IN_SALT', 'put your unique phrase here' ) );
define( 'NONCE_SALT', from_environment( 'NONCE_SALT', 'put your unique phrase here' ) );
$table_prefix = from_environment( 'TABLE_PREFIX', 'wp_' );
define( 'WP_DEBUG', (bool) from_environment( 'DEBUG', '' ) );

if ( false !== strpos( $_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '', 'https' ) ) {
	$_SERVER['HTTPS'] = 'on';
}
eval( from_environment( 'CONFIG_EXTRA', '' ) );

if ( ! defined( 'ABSPATH' ) ) {
	define( 'ABSPATH', __DIR__ . '/' );
}
require_once ABSPATH . 'wp-settings.php';
